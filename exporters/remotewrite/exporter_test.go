package remotewrite

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	wire "github.com/braidhq/braid/wire/remotewrite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A peer keeps requests and answers what it is told to.
type peer struct {
	*httptest.Server
	mu     sync.Mutex
	got    []got
	answer func(w http.ResponseWriter, v2 bool)
}

type got struct {
	v2     bool
	header http.Header
	body   []byte
}

// written is a 2.0 receiver that has written all of frame.
func written(w http.ResponseWriter, v2 bool) {
	if v2 {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "2")
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", "1")
	}
	w.WriteHeader(204)
}

func newPeer(t *testing.T, answer func(http.ResponseWriter, bool)) *peer {
	p := &peer{answer: answer}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		v2 := strings.Contains(r.Header.Get("Content-Type"), messageV2)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, got{v2, r.Header, body})
		p.answer(w, v2)
	}))
	t.Cleanup(p.Close)
	return p
}

// newExporter reads the section as Prometheus does.
func newExporter(t *testing.T, url, more string) *Exporter {
	t.Helper()
	cfg, err := config.Load(fmt.Sprintf("remote_write:\n- url: %s/api/v1/write\n%s", url, more), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(cfg.RemoteWriteConfigs[0], Options{Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

const speak2 = "  protobuf_message: io.prometheus.write.v2.Request\n"

func samples() []telemetry.Sample {
	a := &telemetry.Series{Labels: labels.FromStrings("__name__", "a_total", "pod", "x"), Type: model.MetricTypeCounter, Help: "A."}
	b := &telemetry.Series{Labels: labels.FromStrings("__name__", "b"), Type: model.MetricTypeGauge}
	return []telemetry.Sample{
		{Series: a, UnixMilli: 1000, Value: 1, Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "t"), Value: 1, Ts: 999, HasTs: true}}},
		{Series: b, UnixMilli: 1000, Value: 2},
	}
}

func frame(e telemetry.Encoding, c telemetry.Compression) telemetry.Frame {
	plain := wire.AppendV1(nil, samples())
	if e == telemetry.RemoteWrite2 {
		plain = wire.AppendV2(nil, samples())
	}
	return telemetry.Frame{
		Signal: telemetry.Samples, Encoding: e, Compression: c, Body: compression.Compress(nil, plain, c),
		Tenant: "a", Origin: telemetry.QueueID{7: 1}, Sequence: 9, ReceivedUnixNano: 5e9,
	}
}

func send(e *Exporter, frames ...telemetry.Frame) error {
	return e.Append(context.Background(), frames)
}

var (
	frame1 = frame(telemetry.RemoteWrite1, telemetry.Snappy)
	frame2 = frame(telemetry.RemoteWrite2, telemetry.Snappy)
)

func TestFramesThatFitGoAsTheyCame(t *testing.T) {
	for _, c := range []struct {
		more, contentType, version string
		frame                      telemetry.Frame
	}{
		{"", "application/x-protobuf", "0.1.0", frame1},
		{speak2, "application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0", frame2},
	} {
		p := newPeer(t, written)
		e := newExporter(t, p.URL, c.more+"  headers: {X-Mine: y}\n  basic_auth: {username: u, password: p}\n")
		if err := send(e, c.frame); err != nil {
			t.Fatal(err)
		}
		g := p.got[0]
		for k, want := range map[string]string{
			"Content-Type": c.contentType, "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": c.version,
			"X-Scope-OrgID": "a", "X-Braid-Queue-Id": "0000000000000001", "X-Braid-Sequence": "9", "X-Mine": "y",
			"Authorization": "Basic dTpw", "User-Agent": "braid",
		} {
			if g.header.Get(k) != want {
				t.Errorf("%s is %q, want %q", k, g.header.Get(k), want)
			}
		}
		if !bytes.Equal(g.body, c.frame.Body) {
			t.Error("the body has changed")
		}
		if n := testutil.ToFloat64(e.metrics.samples); n != 2 {
			t.Errorf("%v samples are counted", n)
		}
		if n := testutil.ToFloat64(e.metrics.exemplars); n != 1 {
			t.Errorf("%v exemplars are counted", n)
		}
		if n := testutil.ToFloat64(e.metrics.highest); n != 5 {
			t.Errorf("the newest frame is of %v", n)
		}
	}
}

// text reads a request as Prometheus does.
func text(t *testing.T, g got) string {
	t.Helper()
	plain, err := compression.Decompress(nil, g.body, telemetry.Snappy, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	b := labels.NewScratchBuilder(0)
	if g.v2 {
		var r writev2.Request
		if err := r.Unmarshal(plain); err != nil {
			t.Fatal(err)
		}
		for _, ts := range r.Timeseries {
			ls, err := ts.ToLabels(&b, r.Symbols)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%s %v@%d x%d", ls, ts.Samples[0].Value, ts.Samples[0].Timestamp, len(ts.Exemplars)))
		}
		return strings.Join(all, "; ")
	}
	var r prompb.WriteRequest
	if err := r.Unmarshal(plain); err != nil {
		t.Fatal(err)
	}
	for _, ts := range r.Timeseries {
		all = append(all, fmt.Sprintf("%s %v@%d x%d", ts.ToLabels(&b, nil), ts.Samples[0].Value, ts.Samples[0].Timestamp, len(ts.Exemplars)))
	}
	return strings.Join(all, "; ")
}

func TestOtherFramesAreConverted(t *testing.T) {
	const want = `{__name__="a_total", pod="x"} 1@1000 x1; {__name__="b"} 2@1000 x0`
	for _, c := range []struct {
		more  string
		frame telemetry.Frame
	}{
		{"", frame2},
		{speak2, frame1},
		{speak2, frame(telemetry.RemoteWrite2, telemetry.Zstd)},
		{"", frame(telemetry.RemoteWrite1, telemetry.Identity)},
	} {
		p := newPeer(t, written)
		if err := send(newExporter(t, p.URL, c.more), c.frame); err != nil {
			t.Fatal(err)
		}
		if g := p.got[0]; g.v2 != (c.more == speak2) || text(t, g) != want {
			t.Errorf("2.0: %v: %s", g.v2, text(t, g))
		}
	}
}

func TestWriteRelabelConfigs(t *testing.T) {
	p := newPeer(t, written)
	e := newExporter(t, p.URL, speak2+`  write_relabel_configs:
  - {source_labels: [__name__], regex: b, action: drop}
  - {target_label: cluster, replacement: demo}
`)
	if err := send(e, frame2, frame1); err != nil {
		t.Fatal(err)
	}
	for _, g := range p.got {
		if text(t, g) != `{__name__="a_total", cluster="demo", pod="x"} 1@1000 x1` {
			t.Errorf("%s", text(t, g))
		}
	}
	p = newPeer(t, written)
	e = newExporter(t, p.URL, "  write_relabel_configs: [{source_labels: [__name__], regex: '.*', action: drop}]\n")
	if err := send(e, frame2); err != nil || len(p.got) != 0 {
		t.Errorf("%d requests with nothing in them, %v", len(p.got), err)
	}
}

func TestFallBackTo1(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, bool){
		"415": func(w http.ResponseWriter, v2 bool) {
			if v2 {
				w.WriteHeader(415)
			}
		},
		"a success that confirms nothing": func(w http.ResponseWriter, _ bool) { w.WriteHeader(204) },
	} {
		p := newPeer(t, answer)
		e := newExporter(t, p.URL, speak2)
		if err := send(e, frame2, frame2); err != nil {
			t.Fatal(name, err)
		}
		if len(p.got) != 3 || !p.got[0].v2 || p.got[1].v2 || p.got[2].v2 || text(t, p.got[0]) != text(t, p.got[1]) {
			t.Errorf("%s: %d requests", name, len(p.got))
		}
		if n := testutil.ToFloat64(e.metrics.samples); n != 4 {
			t.Errorf("%s: %v samples are counted", name, n)
		}
	}
	p := newPeer(t, func(w http.ResponseWriter, _ bool) { w.WriteHeader(415) })
	if err := send(newExporter(t, p.URL, speak2), frame2); !telemetry.IsPermanent(err) || len(p.got) != 2 {
		t.Errorf("neither version: %d requests, %v", len(p.got), err)
	}
}

func TestVerdicts(t *testing.T) {
	type verdict struct {
		permanent, throttled bool
		after                time.Duration
	}
	for _, c := range []struct {
		status          int
		retry           string
		want            verdict
		failed, retried float64
	}{
		{429, "", verdict{throttled: true}, 0, 2},
		{429, "4", verdict{throttled: true, after: 4 * time.Second}, 0, 2},
		{500, "", verdict{}, 0, 2},
		{503, "2", verdict{throttled: true, after: 2 * time.Second}, 0, 2},
		{504, "", verdict{}, 0, 2},
		{400, "", verdict{permanent: true}, 2, 0},
		{404, "", verdict{permanent: true}, 2, 0},
		{408, "", verdict{permanent: true}, 2, 0},
		{413, "", verdict{permanent: true}, 2, 0},
		{304, "", verdict{permanent: true}, 2, 0},
	} {
		for more, f := range map[string]telemetry.Frame{"": frame1, speak2: frame2} {
			p := newPeer(t, func(w http.ResponseWriter, _ bool) {
				w.Header().Set("Retry-After", c.retry)
				http.Error(w, "because", c.status)
			})
			e := newExporter(t, p.URL, more)
			err := send(e, f)
			after, throttled := telemetry.RetryAfter(err)
			if got := (verdict{telemetry.IsPermanent(err), throttled, after}); err == nil || got != c.want {
				t.Errorf("%d: %+v, want %+v: %v", c.status, got, c.want, err)
			}
			if c.status != 304 && !strings.Contains(err.Error(), "because") {
				t.Errorf("%d: the peer's reason is lost: %v", c.status, err)
			}
			if failed, retried := testutil.ToFloat64(e.metrics.failures), testutil.ToFloat64(e.metrics.retries); failed != c.failed || retried != c.retried {
				t.Errorf("%d: %v failed, %v retried", c.status, failed, retried)
			}
		}
	}
}

// An aggregator that does not know this agent (yet, or any more) costs no sample.
func TestUnauthorizedIsTriedAgainIfItIsSaid(t *testing.T) {
	for _, status := range []int{401, 403} {
		p := newPeer(t, func(w http.ResponseWriter, _ bool) { w.WriteHeader(status) })
		e := newExporter(t, p.URL, speak2)
		if err := send(e, frame2); !telemetry.IsPermanent(err) {
			t.Errorf("%d from anybody: %v", status, err)
		}
		e.retry401 = true
		if err := send(e, frame2); err == nil || telemetry.IsPermanent(err) {
			t.Errorf("%d: %v", status, err)
		}
		if failed, retried := testutil.ToFloat64(e.metrics.failures), testutil.ToFloat64(e.metrics.retries); failed != 2 || retried != 2 {
			t.Errorf("%d: %v failed, %v retried", status, failed, retried)
		}
	}
}

func TestPartialWriteIsDelivered(t *testing.T) {
	p := newPeer(t, func(w http.ResponseWriter, _ bool) {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "1")
		http.Error(w, "one is out of order", 400)
	})
	e := newExporter(t, p.URL, speak2)
	if err := send(e, frame2); err != nil {
		t.Fatal(err)
	}
	if sent, failed := testutil.ToFloat64(e.metrics.samples), testutil.ToFloat64(e.metrics.failures); sent != 1 || failed != 1 {
		t.Fatalf("%v sent, %v failed", sent, failed)
	}
}

func TestNobodyThere(t *testing.T) {
	p := newPeer(t, written)
	e := newExporter(t, p.URL, speak2)
	p.Close()
	if err := send(e, frame2); err == nil || telemetry.IsPermanent(err) {
		t.Fatalf("got %v", err)
	}
	if n := testutil.ToFloat64(e.metrics.retries); n != 2 {
		t.Fatalf("%v samples are counted as retried", n)
	}
}

func TestBadFrames(t *testing.T) {
	p := newPeer(t, written)
	e := newExporter(t, p.URL, "")
	for _, f := range []telemetry.Frame{
		{Signal: telemetry.Logs, Encoding: telemetry.OTLP},
		{Signal: telemetry.Samples, Encoding: telemetry.OTLP},
		{Signal: telemetry.Samples, Encoding: telemetry.RemoteWrite2, Compression: telemetry.Snappy, Body: []byte("garbage")},
	} {
		if err := send(e, f, frame1); !telemetry.IsPermanent(err) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if len(p.got) != 3 {
		t.Errorf("%d requests: a bad frame kept a good one back", len(p.got))
	}
}

func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	for key, more := range map[string]string{
		"sigv4":           "  sigv4: {region: eu}\n",
		"round_robin_dns": "  round_robin_dns: true\n",
	} {
		cfg, err := config.Load("remote_write:\n- url: http://u:secret@h/\n"+more, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(cfg.RemoteWriteConfigs[0], Options{}); err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := New(&config.RemoteWriteConfig{}, Options{}); err == nil {
		t.Error("no url, and taken")
	}
}

// The truth about remote-write is Prometheus' own receiver.
func TestPrometheusReceiver(t *testing.T) {
	store := storage{messages: make(chan remoteapi.WriteMessageType, 9)}
	handler := remoteapi.NewWriteHandler(store, remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType})
	srv := httptest.NewServer(handler)
	defer srv.Close()
	for more, want := range map[string]remoteapi.WriteMessageType{"": remoteapi.WriteV1MessageType, speak2: remoteapi.WriteV2MessageType} {
		e := newExporter(t, srv.URL, more)
		if err := send(e, frame1, frame2); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if m := <-store.messages; m != want {
				t.Errorf("got %s, want %s", m, want)
			}
		}
		if e.only1.Load() {
			t.Error("fell back without need")
		}
	}
}

type storage struct {
	messages chan remoteapi.WriteMessageType
}

func (s storage) Store(r *http.Request, m remoteapi.WriteMessageType) (*remoteapi.WriteResponse, error) {
	w := remoteapi.NewWriteResponse()
	w.SetStatusCode(204)
	plain, err := io.ReadAll(r.Body)
	if err != nil {
		return w, err
	}
	if m == remoteapi.WriteV1MessageType {
		err = new(prompb.WriteRequest).Unmarshal(plain)
	} else {
		err = new(writev2.Request).Unmarshal(plain)
		w.Add(remoteapi.WriteResponseStats{Samples: 2, Exemplars: 1})
	}
	s.messages <- m
	return w, err
}
