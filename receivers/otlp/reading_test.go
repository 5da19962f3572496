package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	wire "github.com/braidhq/braid/wire/otlp"
	"github.com/braidhq/braid/wire/protobuf"
)

// observer is an Appender that looks at what comes decoded while it may, and holds on to it if it is told to.
type observer struct {
	hold bool
	err  error

	mu   sync.Mutex
	seen []seen
}

type seen struct {
	frame telemetry.Frame // with a copy of its body
	body  []byte          // a copy of Decoded's
	said  string          // what its batches said
}

func (o *observer) Append(_ context.Context, frames []telemetry.Frame) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range frames {
		f.Body = slices.Clone(f.Body)
		s := seen{frame: f}
		if d := f.Decoded; d != nil {
			s.body, s.said = slices.Clone(d.Body), said(d.Batches)
			if o.hold {
				d.Hold()
			}
		}
		o.seen = append(o.seen, s)
	}
	return o.err
}

// one returns what the only frame was and forgets it.
func (o *observer) one(t *testing.T) seen {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) != 1 {
		t.Fatalf("%d frames came, want 1", len(o.seen))
	}
	s := o.seen[0]
	o.seen = nil
	return s
}

// said renders all that batches say: a deep copy that can be compared.
func said(batches []*telemetry.Batch) string {
	var out strings.Builder
	for _, b := range batches {
		c := *b
		c.Resource = nil // a pointer
		fmt.Fprintf(&out, "%+v %+v\n", *b.Resource, c)
	}
	return out.String()
}

// fresh is what a decoder of its own says of a frame, spans having the attributes called keys; nil: all.
func fresh(t *testing.T, f telemetry.Frame, keys []string) string {
	t.Helper()
	d := wire.NewDecoder()
	decode := d.Logs
	if f.Signal == telemetry.Spans {
		decode = d.Spans
	}
	batches, err := decode(plainBody(t, f))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		for i := range b.Spans {
			s := &b.Spans[i]
			s.Attrs = slices.DeleteFunc(s.Attrs, func(a telemetry.Attr) bool { return keys != nil && !slices.Contains(keys, a.Key) })
		}
	}
	return said(batches)
}

// request returns a body; those of different n have nothing in common but their form.
func request(t testing.TB, s telemetry.Signal, n int) []byte {
	mark := fmt.Sprintf("mark-%d-", n)
	if s == telemetry.Logs {
		r := plogotlp.NewExportRequest()
		for i := range 2 {
			rl := r.Logs().ResourceLogs().AppendEmpty()
			rl.Resource().Attributes().PutStr("service.name", fmt.Sprint(mark, i))
			for j := range 3 {
				l := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
				l.Body().SetStr(strings.Repeat(mark, 1+j))
				l.Attributes().PutStr("text", mark)
				l.Attributes().PutEmptySlice("list").AppendEmpty().SetStr(mark)
			}
		}
		return marshal(t, r)
	}
	r := ptraceotlp.NewExportRequest()
	for i := range 2 {
		rs := r.Traces().ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", fmt.Sprint(mark, i))
		ss := rs.ScopeSpans().AppendEmpty()
		for j := range 4 {
			span := ss.Spans().AppendEmpty()
			span.SetName(mark)
			span.SetTraceID([16]byte{byte(n), byte(n >> 8), byte(j)})
			span.Attributes().PutStr("http.route", strings.Repeat(mark, 1+j*5))
			span.Attributes().PutInt("http.response.status_code", int64(n))
			span.Attributes().PutEmptySlice("list").AppendEmpty().SetStr(mark)
			if j == 3 {
				span.Events().AppendEmpty().SetName(mark)
			}
		}
	}
	return marshal(t, r)
}

// A way brings a body to a receiver, and returns the answer as HTTP's status.
type way func(t *testing.T, s telemetry.Signal, plain []byte) int

// ways are all that there are to r.
func ways(t *testing.T, r *Receiver) map[string]way {
	paths := map[telemetry.Signal]string{telemetry.Logs: "/v1/logs", telemetry.Spans: "/v1/traces"}
	services := map[telemetry.Signal]string{telemetry.Logs: logsService, telemetry.Spans: tracesService}
	h, conn := r.Handler(), dial(t, r)
	overHTTP := func(c telemetry.Compression) way {
		return func(_ *testing.T, s telemetry.Signal, plain []byte) int {
			return post(h, paths[s], protobufType, c.String(), compression.Compress(nil, plain, c)).StatusCode
		}
	}
	json := func(c telemetry.Compression) way {
		return func(t *testing.T, s telemetry.Signal, plain []byte) int {
			return post(h, paths[s], jsonType, c.String(), compression.Compress(nil, toJSON(t, s, plain), c)).StatusCode
		}
	}
	overGRPC := func(options ...grpc.CallOption) way {
		options = append(options, grpc.ForceCodecV2(rawCodec{}))
		return func(t *testing.T, s telemetry.Signal, plain []byte) int {
			err := conn.Invoke(t.Context(), "/"+services[s]+"/Export", &message{buffer: mem.SliceBuffer(plain)}, &message{}, options...)
			switch status.Code(err) {
			case codes.OK:
				return http.StatusOK
			case codes.InvalidArgument:
				return http.StatusBadRequest
			}
			t.Error(err)
			return 0
		}
	}
	return map[string]way{
		"HTTP": overHTTP(telemetry.Identity), "HTTP gzip": overHTTP(telemetry.Gzip), "HTTP zstd": overHTTP(telemetry.Zstd),
		"JSON": json(telemetry.Identity), "JSON gzip": json(telemetry.Gzip), "gRPC": overGRPC(), "gRPC gzip": overGRPC(grpc.UseCompressor(gzip.Name)),
	}
}

func toJSON(t *testing.T, s telemetry.Signal, plain []byte) []byte {
	t.Helper()
	var r interface {
		UnmarshalProto([]byte) error
		MarshalJSON() ([]byte, error)
	} = plogotlp.NewExportRequest()
	if s == telemetry.Spans {
		r = ptraceotlp.NewExportRequest()
	}
	if err := r.UnmarshalProto(plain); err != nil {
		t.Fatal(err)
	}
	json, err := r.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return json
}

func asking(keys ...string) func() *telemetry.Attributes {
	set := telemetry.NewAttributes(keys...)
	return func() *telemetry.Attributes { return set }
}

func noneCharged(t *testing.T, r *Receiver) {
	t.Helper()
	if n := r.gate.Held(); n != 0 {
		t.Fatalf("%d bytes are still charged", n)
	}
}

var bothSignals = []telemetry.Signal{telemetry.Logs, telemetry.Spans}

func TestFramesComeDecodedAsTheyAreStored(t *testing.T) {
	for _, keys := range [][]string{nil, {}, {"http.route"}, {"http.response.status_code", "list"}} {
		var only *telemetry.Attributes
		if keys != nil {
			only = telemetry.NewAttributes(keys...)
		}
		o := &observer{}
		r := New(o, Options{Observed: func() *telemetry.Attributes { return only }})
		n := 0
		for name, send := range ways(t, r) {
			for _, s := range bothSignals {
				n++
				if code := send(t, s, request(t, s, n)); code != http.StatusOK {
					t.Fatalf("%s %s: %d", name, s, code)
				}
				got := o.one(t)
				if got.frame.Decoded == nil {
					t.Fatalf("%s %s: came undecoded", name, s)
				}
				if plain := plainBody(t, got.frame); !bytes.Equal(got.body, plain) {
					t.Errorf("%s %s: decoded of %d bytes, stored are %d", name, s, len(got.body), len(plain))
				}
				if want := fresh(t, got.frame, keys); got.said != want || !strings.Contains(want, fmt.Sprintf("mark-%d-", n)) {
					t.Errorf("%s %s, only %q:\n%s\nfresh:\n%s", name, s, keys, got.said, want)
				}
			}
		}
		noneCharged(t, r)
	}
}

func TestFramesSayWhichAttributesTheyHave(t *testing.T) {
	asked := []*telemetry.Attributes{telemetry.NewAttributes("list"), nil, telemetry.NewAttributes()}
	keys := [][]string{{"list"}, nil, {}}
	next := 0
	o := &observer{}
	r := New(o, Options{Observed: func() *telemetry.Attributes { return asked[next] }})
	for next = range asked { // who observes may change while requests come
		for _, s := range bothSignals {
			rd := r.begin(request(t, s, next), func() {})
			if err := r.take(t.Context(), telemetry.Frame{Signal: s, Encoding: telemetry.OTLP}, rd, false); err != nil {
				t.Fatal(err)
			}
			got := o.one(t)
			want := asked[next]
			if s == telemetry.Logs {
				want = nil // logs have all
			}
			if got.frame.Decoded.Only != want || got.said != fresh(t, got.frame, keys[next]) {
				t.Errorf("%s: only %v:\n%s", s, got.frame.Decoded.Only, got.said)
			}
			rd.decoded.Release()
		}
	}
}

func TestUndecodedIfNobodyObserves(t *testing.T) {
	o := &observer{}
	for name, send := range ways(t, New(o, Options{})) {
		for _, s := range bothSignals {
			if code := send(t, s, request(t, s, 1)); code != http.StatusOK {
				t.Fatalf("%s %s: %d", name, s, code)
			}
			if o.one(t).frame.Decoded != nil {
				t.Errorf("%s %s: came decoded", name, s)
			}
		}
	}
}

// TestLargeBodiesComeUndecoded: what counts is the body decompressed.
func TestLargeBodiesComeUndecoded(t *testing.T) {
	o := &observer{}
	r := New(o, Options{Observed: asking("list")})
	all := ways(t, r)
	for _, name := range []string{"HTTP", "HTTP gzip", "HTTP zstd", "gRPC"} {
		for _, s := range bothSignals {
			for _, size := range []int{1 << 20, 1<<20 + 1} {
				const head = 5 // of an unknown field that fills the body up
				body := request(t, s, 1)
				body = protobuf.AppendBytes(body, 99<<3|protobuf.Bytes, make([]byte, size-len(body)-head))
				if len(body) != size {
					t.Fatalf("%d bytes, want %d", len(body), size)
				}
				if code := all[name](t, s, body); code != http.StatusOK {
					t.Fatalf("%s %s: %d", name, s, code)
				}
				got := o.one(t)
				if decoded := got.frame.Decoded != nil; decoded != (size == 1<<20) {
					t.Errorf("%s %s, %d bytes: comes decoded: %v", name, s, size, decoded)
				}
				if !bytes.Equal(plainBody(t, got.frame), body) {
					t.Errorf("%s %s, %d bytes: another body is stored", name, s, size)
				}
			}
		}
	}
	noneCharged(t, r)
}

func TestRefusedAlikeWhoeverObserves(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	unobserved, observed := &observer{}, &observer{}
	a, b := New(unobserved, Options{}), New(observed, Options{Observed: asking("list")})
	without, with := ways(t, a), ways(t, b)
	refused := 0
	for _, s := range bothSignals {
		whole := request(t, s, 1)
		bodies := [][]byte{nil, []byte("\xff\xff not protobuf"), {0x0a, 0xff}}
		for n := range whole {
			bodies = append(bodies, whole[:n])
		}
		for range 1000 {
			body := slices.Clone(whole)
			body[random.IntN(len(body))] = byte(random.Uint32())
			bodies = append(bodies, body)
		}
		for i, body := range bodies {
			name := []string{"HTTP", "HTTP gzip", "HTTP zstd", "gRPC"}[i%4]
			want, got := without[name](t, s, body), with[name](t, s, body)
			if got != want || len(observed.seen) != len(unobserved.seen) {
				t.Fatalf("%s %s %x: %d and %d frames, without observers %d and %d", name, s, body, got, len(observed.seen), want, len(unobserved.seen))
			}
			if want == http.StatusBadRequest {
				refused++
			}
			noneCharged(t, b)
		}
	}
	if refused < 1000 {
		t.Errorf("%d refused: too few to say anything", refused)
	}
}

// TestHeldStaysAsItIs while the memory of other requests goes from hand to hand.
func TestHeldStaysAsItIs(t *testing.T) {
	o := &observer{hold: true}
	r := New(o, Options{Observed: asking("http.route", "list")})
	all := ways(t, r)
	n := 0
	for range 3 {
		for name, send := range all {
			for _, s := range bothSignals {
				n++
				if code := send(t, s, request(t, s, n)); code != http.StatusOK {
					t.Fatalf("%s %s: %d", name, s, code)
				}
			}
		}
	}
	held := o.seen
	o.hold, o.seen = false, nil
	charged := r.gate.Held()

	var wg sync.WaitGroup
	for name, send := range all {
		wg.Go(func() {
			for i := range 60 {
				s := bothSignals[i%2]
				if code := send(t, s, request(t, s, 1000+i)); code != http.StatusOK {
					t.Errorf("%s %s: %d", name, s, code)
				}
			}
		})
	}
	wg.Wait()

	if r.gate.Held() != charged {
		t.Errorf("%d bytes are charged for what is held, then %d", charged, r.gate.Held())
	}
	for i, x := range held {
		d := x.frame.Decoded
		if d == nil {
			t.Fatalf("frame %d came undecoded", i)
		}
		if !bytes.Equal(d.Body, x.body) || said(d.Batches) != x.said {
			t.Errorf("frame %d changed from\n%s\nto\n%s", i, x.said, said(d.Batches))
		}
		if left := r.gate.Held(); left < int64(len(d.Body)) {
			t.Errorf("%d bytes are charged, %d are held by one frame alone", left, len(d.Body))
		}
		d.Release()
	}
	noneCharged(t, r)
}

// TestHeldAfterAFailure: an appender that answers with an error may hold what it was given all the same.
func TestHeldAfterAFailure(t *testing.T) {
	o := &observer{hold: true, err: errors.New("disk")}
	r := New(o, Options{Observed: asking()})
	if resp := post(r.Handler(), "/v1/traces", protobufType, "gzip", compression.Compress(nil, request(t, telemetry.Spans, 1), telemetry.Gzip)); resp.StatusCode != 503 {
		t.Fatal(resp.Status)
	}
	got := o.one(t)
	if said(got.frame.Decoded.Batches) != got.said {
		t.Error("it changed")
	}
	got.frame.Decoded.Release()
	noneCharged(t, r)
}

// TestNoRoomToKeepIt: a frame whose decoded form the budget does not allow is taken all the same, without it.
func TestNoRoomToKeepIt(t *testing.T) {
	plain := request(t, telemetry.Spans, 1)
	const asItCame = 16 << 10 // charged for a small body over HTTP
	d := wire.NewDecoder()
	if _, err := d.Spans(plain); err != nil {
		t.Fatal(err)
	}
	decoded := len(plain) + d.Footprint()
	for name, cameAs := range map[string]int{"HTTP": asItCame, "HTTP gzip": asItCame, "gRPC": len(plain)} {
		o := &observer{hold: true}
		r := New(o, Options{Observed: func() *telemetry.Attributes { return nil }, MaxInFlightBytes: int64(2*(cameAs+decoded) - 1)})
		send := ways(t, r)[name]
		take := func() *telemetry.Decoded {
			if code := send(t, telemetry.Spans, plain); code != http.StatusOK {
				t.Fatalf("%s: %d", name, code)
			}
			got := o.one(t)
			if !bytes.Equal(plainBody(t, got.frame), plain) {
				t.Errorf("%s: another body is stored", name)
			}
			return got.frame.Decoded
		}
		first := take()
		if first == nil {
			t.Fatalf("%s: the first comes undecoded", name)
		}
		if take() != nil {
			t.Errorf("%s: one byte short, and it comes decoded", name)
		}
		if r.gate.Held() != int64(cameAs+decoded) {
			t.Errorf("%s: %d bytes are charged for the first, want %d", name, r.gate.Held(), cameAs+decoded)
		}
		first.Release()
		noneCharged(t, r)
		again := take()
		if again == nil {
			t.Fatalf("%s: there is room again, and it comes undecoded", name)
		}
		again.Release()
		noneCharged(t, r)
	}
}

// TestWhatGrowsOutOfProportionIsNotKept: little that is sent must not hold much memory, nor leave it in the pool.
func TestWhatGrowsOutOfProportionIsNotKept(t *testing.T) {
	for name, records := range map[string][]byte{
		"empty spans":      bytes.Repeat([]byte{2<<3 | 2, 0}, 1<<18),
		"empty attributes": protobuf.AppendBytes(nil, 2<<3|protobuf.Bytes, bytes.Repeat([]byte{9<<3 | 2, 0}, 1<<18)),
	} {
		body := protobuf.AppendBytes(nil, 1<<3|protobuf.Bytes, protobuf.AppendBytes(nil, 2<<3|protobuf.Bytes, records))
		o := &observer{}
		r := New(o, Options{Observed: func() *telemetry.Attributes { return nil }})
		for _, body := range [][]byte{body, append(body, 0xff)} { // taken, and refused
			rd := r.begin(body, func() {})
			err := r.take(t.Context(), telemetry.Frame{Signal: telemetry.Spans, Encoding: telemetry.OTLP}, rd, false)
			if n := rd.decoder.Footprint(); err == nil && (n > maxFootprint || o.one(t).frame.Decoded != nil) {
				t.Errorf("%s: %d bytes are kept", name, n)
			}
			rd.decoded.Release()
			if n := rd.decoder.Footprint(); n > maxFootprint {
				t.Errorf("%s, %v: %d bytes are left in the pool", name, err, n)
			}
		}
		noneCharged(t, r)
	}
}
