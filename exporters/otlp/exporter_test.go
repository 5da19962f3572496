package otlp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A peer keeps requests and answers what it is told to.
type peer struct {
	*httptest.Server
	mu       sync.Mutex
	got      []got
	status   int
	header   map[string]string
	answer   []byte
	statuses []int // of the first answers, if set
}

type got struct {
	path   string
	header http.Header
	body   []byte
}

func newPeer(t *testing.T) *peer {
	p := &peer{status: 200}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, got{r.URL.Path, r.Header, body})
		for k, v := range p.header {
			w.Header().Set(k, v)
		}
		status := p.status
		if len(p.statuses) > 0 {
			status, p.statuses = p.statuses[0], p.statuses[1:]
		}
		w.WriteHeader(status)
		_, _ = w.Write(p.answer)
	}))
	t.Cleanup(p.Close)
	return p
}

func newExporter(t *testing.T, p *peer, o Options) *Exporter {
	t.Helper()
	o.URL = p.URL
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func batches() []*telemetry.Batch {
	r := &telemetry.Resource{Service: "cart", Restart: -1}
	log := func(body, tenant string) *telemetry.Batch {
		return &telemetry.Batch{Resource: r, Tenant: tenant, Logs: []telemetry.Log{{UnixNano: 5, Body: []byte(body)}}}
	}
	return []*telemetry.Batch{
		log("one", ""), log("two", "b"), log("three", ""),
		{Resource: r, Spans: []telemetry.Span{{Name: "GET /", TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{2}}}},
	}
}

func TestWrite(t *testing.T) {
	for _, c := range []telemetry.Compression{telemetry.Identity, telemetry.Gzip, telemetry.Zstd} {
		p := newPeer(t)
		e := newExporter(t, p, Options{Compression: c, Headers: map[string]string{"Authorization": "Bearer x"}})
		if err := e.Write(context.Background(), batches()); err != nil {
			t.Fatal(err)
		}
		if len(p.got) != 3 {
			t.Fatalf("%d requests", len(p.got))
		}
		for i, want := range []struct {
			path, tenant, bodies string
		}{{"/v1/logs", "", "one three"}, {"/v1/logs", "b", "two"}, {"/v1/traces", "", "GET /"}} {
			g := p.got[i]
			encoding, err := compression.ParseEncoding(g.header.Get("Content-Encoding"))
			if err != nil || encoding != c || g.header.Get("Content-Type") != "application/x-protobuf" || g.header.Get("Authorization") != "Bearer x" {
				t.Fatalf("%s: headers %v", c, g.header)
			}
			plain, err := compression.Decompress(nil, g.body, encoding, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if g.path != want.path || g.header.Get("X-Scope-OrgID") != want.tenant || contents(t, g.path, plain) != want.bodies {
				t.Errorf("request %d: %s of %q: %q", i, g.path, g.header.Get("X-Scope-OrgID"), contents(t, g.path, plain))
			}
		}
	}
}

// contents reads a request as OpenTelemetry does.
func contents(t *testing.T, path string, plain []byte) string {
	t.Helper()
	var all []string
	if path == "/v1/traces" {
		r := ptraceotlp.NewExportRequest()
		if err := r.UnmarshalProto(plain); err != nil {
			t.Fatal(err)
		}
		for _, rs := range r.Traces().ResourceSpans().All() {
			all = append(all, rs.ScopeSpans().At(0).Spans().At(0).Name())
		}
		return strings.Join(all, " ")
	}
	r := plogotlp.NewExportRequest()
	if err := r.UnmarshalProto(plain); err != nil {
		t.Fatal(err)
	}
	for _, rl := range r.Logs().ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, l := range sl.LogRecords().All() {
				all = append(all, l.Body().AsString())
			}
		}
	}
	return strings.Join(all, " ")
}

func TestFramesGoAsTheyCame(t *testing.T) {
	p := newPeer(t)
	e := newExporter(t, p, Options{Compression: telemetry.Zstd})
	frames := []telemetry.Frame{
		{Signal: telemetry.Logs, Encoding: telemetry.OTLP, Compression: telemetry.Gzip, Body: []byte("gzip"), Tenant: "a", Origin: telemetry.QueueID{7: 1}, Sequence: 9},
		{Signal: telemetry.Spans, Encoding: telemetry.OTLP, Body: []byte("plain")},
	}
	if err := e.Append(context.Background(), frames); err != nil {
		t.Fatal(err)
	}
	if len(p.got) != 2 || string(p.got[0].body) != "gzip" || string(p.got[1].body) != "plain" {
		t.Fatalf("%+v", p.got)
	}
	first, second := p.got[0], p.got[1]
	if first.path != "/v1/logs" || first.header.Get("Content-Encoding") != "gzip" || first.header.Get("X-Scope-OrgID") != "a" ||
		first.header.Get("X-Braid-Queue-Id") != "0000000000000001" || first.header.Get("X-Braid-Sequence") != "9" {
		t.Errorf("%+v", first)
	}
	if second.path != "/v1/traces" || second.header.Get("Content-Encoding") != "" || second.header.Get("X-Braid-Queue-Id") != "" {
		t.Errorf("%+v", second)
	}
}

func TestVerdicts(t *testing.T) {
	type verdict struct {
		permanent, throttled bool
		after                time.Duration
	}
	for _, c := range []struct {
		status int
		retry  string
		want   verdict
	}{
		{429, "", verdict{throttled: true}},
		{429, "4", verdict{throttled: true, after: 4 * time.Second}},
		{503, "2", verdict{throttled: true, after: 2 * time.Second}},
		{503, "", verdict{}},
		{502, "", verdict{}},
		{504, "", verdict{}},
		{400, "", verdict{permanent: true}},
		{401, "", verdict{permanent: true}},
		{404, "", verdict{permanent: true}},
		{408, "", verdict{permanent: true}},
		{413, "", verdict{permanent: true}},
		{500, "", verdict{permanent: true}},
		{501, "5", verdict{permanent: true}},
		{302, "", verdict{permanent: true}},
	} {
		p := newPeer(t)
		p.status, p.header, p.answer = c.status, map[string]string{"Retry-After": c.retry, "Location": "/"}, []byte("\x08\x08\x12\x04why?")
		err := newExporter(t, p, Options{}).Write(context.Background(), batches()[:1])
		after, throttled := telemetry.RetryAfter(err)
		if got := (verdict{telemetry.IsPermanent(err), throttled, after}); err == nil || got != c.want {
			t.Errorf("%d: %+v, want %+v: %v", c.status, got, c.want, err)
		}
		if !strings.Contains(err.Error(), "why?") || len(p.got) != 1 {
			t.Errorf("%d, %d requests: the peer's reason is lost: %v", c.status, len(p.got), err)
		}
	}
}

// An aggregator that does not know this agent (yet, or any more) costs no record.
func TestUnauthorizedIsTriedAgainIfItIsSaid(t *testing.T) {
	for status, permanent := range map[int]bool{401: false, 403: false, 404: true, 400: true} {
		p := newPeer(t)
		p.status = status
		err := newExporter(t, p, Options{RetryUnauthorized: true}).Write(context.Background(), batches()[:1])
		if err == nil || telemetry.IsPermanent(err) != permanent {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	p := newPeer(t)
	e := newExporter(t, p, Options{})
	p.Close()
	err := e.Write(context.Background(), batches())
	if err == nil || telemetry.IsPermanent(err) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Write(ctx, batches()); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	e, err := New(Options{URL: srv.URL, Timeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Write(context.Background(), batches()); !errors.Is(err, context.DeadlineExceeded) || telemetry.IsPermanent(err) {
		t.Fatalf("got %v", err)
	}
}

// One frame that is refused for good must not keep the others back.
func TestARefusedFrameDoesNotStopTheOthers(t *testing.T) {
	p := newPeer(t)
	p.statuses = []int{400, 200}
	frame := telemetry.Frame{Signal: telemetry.Logs, Encoding: telemetry.OTLP, Body: []byte("x")}
	err := newExporter(t, p, Options{}).Append(context.Background(), []telemetry.Frame{frame, frame})
	if !telemetry.IsPermanent(err) || len(p.got) != 2 {
		t.Fatalf("%d requests, %v", len(p.got), err)
	}
	p.statuses, p.got = []int{503}, nil
	err = newExporter(t, p, Options{}).Append(context.Background(), []telemetry.Frame{frame, frame})
	if err == nil || telemetry.IsPermanent(err) || len(p.got) != 1 {
		t.Fatalf("%d requests, %v", len(p.got), err)
	}
}

func TestPartialSuccessIsCounted(t *testing.T) {
	p := newPeer(t)
	answer := plogotlp.NewExportResponse()
	answer.PartialSuccess().SetRejectedLogRecords(3)
	answer.PartialSuccess().SetErrorMessage("three are bad")
	var err error
	if p.answer, err = answer.MarshalProto(); err != nil {
		t.Fatal(err)
	}
	e := newExporter(t, p, Options{})
	if err := e.Write(context.Background(), batches()[:1]); err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(e.metrics.rejected.WithLabelValues("logs")); n != 3 {
		t.Fatalf("%v records are counted as rejected", n)
	}
	for _, body := range [][]byte{nil, []byte("garbage"), bytes.Repeat([]byte{0xff}, 100), {0x0a, 0x02, 0x08}} {
		if n := rejectedRecords(body); n != 0 {
			t.Errorf("%q: %d", body, n)
		}
	}
}

func TestWhatOTLPDoesNotCarry(t *testing.T) {
	p := newPeer(t)
	e := newExporter(t, p, Options{})
	samples := []*telemetry.Batch{{Samples: make([]telemetry.Sample, 1)}}
	if err := e.Write(context.Background(), samples); !telemetry.IsPermanent(err) {
		t.Errorf("samples: %v", err)
	}
	for _, f := range []telemetry.Frame{
		{Signal: telemetry.Samples, Encoding: telemetry.RemoteWrite2},
		{Signal: telemetry.Samples, Encoding: telemetry.OTLP},
		{Signal: telemetry.Logs, Encoding: telemetry.OTLP, Compression: telemetry.Snappy},
	} {
		if err := e.Append(context.Background(), []telemetry.Frame{f}); !telemetry.IsPermanent(err) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if len(p.got) != 0 {
		t.Errorf("%d requests", len(p.got))
	}
}

func TestBadOptions(t *testing.T) {
	for _, u := range []string{"", "127.0.0.1:4318", "ftp://host", "http://", "http://%zz"} {
		if _, err := New(Options{URL: u}); err == nil {
			t.Errorf("%q was taken", u)
		}
	}
	if _, err := New(Options{URL: "http://host", Compression: telemetry.Snappy}); err == nil {
		t.Error("snappy was taken")
	}
	e, err := New(Options{URL: "http://user:secret@127.0.0.1:1/base/"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.endpoints[telemetry.Logs] != "http://user:secret@127.0.0.1:1/base/v1/logs" {
		t.Error(e.endpoints)
	}
	if err := e.Write(context.Background(), batches()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is told: %v", err)
	}
}
