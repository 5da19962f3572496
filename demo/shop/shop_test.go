package shop

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braidhq/braid/demo/ledger"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// agent stands for what takes OTLP; while away is set it breaks every connection.
type agent struct {
	away  atomic.Bool
	mu    sync.Mutex
	spans map[string]string // span id → service
	twice []string
	// failed has the traces that have a span with status error.
	failed map[string]bool
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	if a.away.Load() {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close() // what a kill -9 looks like; the SDK's exporter takes it for final
		}
		return
	}
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalProto(body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, rs := range req.Traces().ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get("service.name")
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				id := span.SpanID().String()
				if _, seen := a.spans[id]; seen {
					a.twice = append(a.twice, id)
				}
				a.spans[id] = service.Str()
				if span.Status().Code() == ptrace.StatusCodeError {
					a.failed[span.TraceID().String()] = true
				}
			}
		}
	}
}

// lockedBuffer is a service's stdout or stderr.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// town is a whole shop in one process.
type town struct {
	topology Topology
	out, err map[string]*lockedBuffer
	stop     func() // ends the services and waits for them
	failures chan error
}

func open(t *testing.T, otlp string) *town {
	t.Helper()
	dir := t.TempDir()
	x := &town{out: map[string]*lockedBuffer{}, err: map[string]*lockedBuffer{}, failures: make(chan error, len(Names()))}
	x.topology = Topology{OTLP: otlp, Cluster: "c", Node: "n", Namespace: "shop"}
	var listeners []net.Listener
	for _, name := range Names() {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		x.topology.Services = append(x.topology.Services, Service{
			Name: name, Address: ln.Addr().String(), Pod: name + "-0", PodUID: "u-" + name, Ledger: filepath.Join(dir, name+".ndjson"),
		})
		listeners = append(listeners, ln)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	x.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(x.stop)
	for i, self := range x.topology.Services {
		out, errs := &lockedBuffer{}, &lockedBuffer{}
		x.out[self.Name], x.err[self.Name] = out, errs
		wg.Go(func() {
			if err := run(ctx, &x.topology, self, listeners[i], out, errs); err != nil {
				x.failures <- err
			}
		})
	}
	return x
}

func (x *town) url(t *testing.T, name, path string) string {
	t.Helper()
	s, err := x.topology.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + s.Address + path
}

// ask returns status, body and header of one request.
func (x *town) ask(t *testing.T, method, name, path string, header http.Header) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, x.url(t, name, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestAShoppingDayStandsInTheLedgers(t *testing.T) {
	a := &agent{spans: map[string]string{}, failed: map[string]bool{}}
	a.away.Store(true)
	server := httptest.NewServer(a)
	defer server.Close()
	x := open(t, server.URL)
	traces := map[string]string{}
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 200},
		{"GET", "/?snapshot=1", 200},
		{"GET", "/products/3", 200},
		{"GET", "/products/999", 404},
		{"GET", fmt.Sprintf("/products/%d", coldProduct), 200},
		{"POST", "/cart/ann?product=4", 200},
		{"POST", "/checkout/ann?card=" + CardGood, 200},
		{"POST", "/checkout/ann?card=" + CardDeclined, 402},
		{"POST", "/checkout/ann?card=" + CardSlow, 200},
		{"POST", "/checkout/ann?card=" + CardNoReceipt, 200},
		{"POST", "/checkout/ann?card=" + CardBroken, 502},
	} {
		status, body, header := x.ask(t, c.method, "frontend", c.path, nil)
		if status != c.want {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, status, c.want, body)
		}
		if len(header.Get("X-Trace-Id")) != 32 {
			t.Errorf("%s %s: no trace id in the answer", c.method, c.path)
		}
		traces[c.path] = header.Get("X-Trace-Id")
	}
	scraper := http.Header{"X-Prometheus-Scrape-Timeout-Seconds": {"5"}}
	bodies := map[string]string{}
	for _, name := range Names() {
		_, bodies[name], _ = x.ask(t, "GET", name, "/metrics", scraper)
		x.ask(t, "GET", name, "/metrics", nil) // a curious human
	}
	a.away.Store(false)
	x.stop()
	select {
	case err := <-x.failures:
		t.Fatal(err)
	default:
	}
	checkSpans(t, x, a)
	checkReasons(t, x, traces, a.failed)
	for _, s := range x.topology.Services {
		checkLines(t, x, s)
		checkSamples(t, s, bodies[s.Name])
	}
	if !strings.Contains(bodies["frontend"], `# {trace_id="`) {
		t.Error("the frontend's metrics have no exemplar")
	}
	if !strings.Contains(bodies["frontend"], "process_cpu_seconds_total") {
		t.Error("the frontend's metrics have no process metrics")
	}
}

func checkSpans(t *testing.T, x *town, a *agent) {
	t.Helper()
	ended, acknowledged := map[string]string{}, 0
	for _, s := range x.topology.Services {
		for _, e := range entries(t, s, ledger.Span) {
			ended[e.SpanID] = s.Name
		}
	}
	for _, s := range x.topology.Services {
		for _, e := range entries(t, s, ledger.Sent) {
			for _, id := range e.Spans {
				if ended[id] != s.Name || a.spans[id] != s.Name {
					t.Errorf("span %s was acknowledged to %s, and is of %q", id, s.Name, ended[id])
				}
				acknowledged++
			}
		}
	}
	if acknowledged != len(ended) {
		t.Errorf("%d spans ended, %d were acknowledged", len(ended), acknowledged)
	}
	if len(ended) < 40 {
		t.Errorf("only %d spans in the ledgers", len(ended))
	}
	if len(a.twice) > 0 {
		t.Errorf("%d spans came twice", len(a.twice))
	}
	for id, name := range ended {
		if a.spans[id] != name {
			t.Errorf("span %s of %s: the agent has it of %q", id, name, a.spans[id])
		}
	}
	if len(a.spans) != len(ended) {
		t.Errorf("%d spans came, %d were ended", len(a.spans), len(ended))
	}
}

// checkReasons checks what the ledgers say of errors, by the path of the request whose trace it is.
func checkReasons(t *testing.T, x *town, traces map[string]string, failed map[string]bool) {
	t.Helper()
	spans, lines, named := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var longest time.Duration
	for _, s := range x.topology.Services {
		for _, e := range entries(t, s, ledger.Span) {
			if e.Error {
				spans[e.TraceID] = true
			}
			if e.TraceID == traces["/checkout/ann?card="+CardSlow] {
				longest = max(longest, e.Time.Sub(e.Start))
			}
		}
		for _, e := range entries(t, s, ledger.Log) {
			if e.Error {
				lines[e.TraceID] = true
			}
		}
		for _, e := range entries(t, s, ledger.Metrics) {
			for _, id := range e.Traces {
				named[id] = true
			}
		}
	}
	if !maps.Equal(spans, failed) {
		t.Errorf("traces with an error span: the ledgers have %v, the agent %v", spans, failed)
	}
	broken, noReceipt := traces["/checkout/ann?card="+CardBroken], traces["/checkout/ann?card="+CardNoReceipt]
	if !spans[broken] || !lines[broken] || spans[noReceipt] || !lines[noReceipt] || lines[traces["/checkout/ann?card="+CardDeclined]] || spans[traces["/"]] || lines[traces["/"]] {
		t.Errorf("%v\nerror spans in %v, error lines in %v", traces, spans, lines)
	}
	if longest < 700*time.Millisecond {
		t.Errorf("the slow card took %s", longest)
	}
	if !named[broken] {
		t.Errorf("the one request that was answered 502 is no exemplar: %v", named)
	}
}

func entries(t *testing.T, s Service, kind string) []ledger.Entry {
	t.Helper()
	var got []ledger.Entry
	err := ledger.Read(s.Ledger, func(e ledger.Entry) {
		if e.Kind == kind {
			got = append(got, e)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func checkLines(t *testing.T, x *town, s Service) {
	t.Helper()
	next := map[string]*bufio.Reader{
		"stdout": bufio.NewReader(&x.out[s.Name].buf), "stderr": bufio.NewReader(&x.err[s.Name].buf),
	}
	sums, longest := map[ledger.Sum]bool{}, 0
	for _, e := range entries(t, s, ledger.Log) {
		line, err := next[e.Stream].ReadString('\n')
		if err != nil {
			t.Fatalf("%s: the ledger has line %d on %s, the stream does not", s.Name, e.Seq, e.Stream)
		}
		line = strings.TrimSuffix(line, "\n")
		if ledger.SumOf([]byte(line)) != e.Sum || len(line) != e.Bytes {
			t.Fatalf("%s: line %d is not what the ledger says: %.200q", s.Name, e.Seq, line)
		}
		if !regexp.MustCompile(fmt.Sprintf(`\bseq"?[:=]%d\b`, e.Seq)).MatchString(line) {
			t.Errorf("%s: line %d does not carry its number: %.200q", s.Name, e.Seq, line)
		}
		if e.TraceID != "" && !strings.Contains(line, e.TraceID) {
			t.Errorf("%s: line %d does not carry its trace id", s.Name, e.Seq)
		}
		if sums[e.Sum] {
			t.Errorf("%s: line %d is not unique", s.Name, e.Seq)
		}
		sums[e.Sum], longest = true, max(longest, len(line))
	}
	for stream, r := range next {
		if rest, _ := r.ReadString('\n'); rest != "" {
			t.Errorf("%s: %s has a line that the ledger has not: %.200q", s.Name, stream, rest)
		}
	}
	if s.Name == "catalog" && longest < 3*16384 {
		t.Errorf("the catalogue's longest line has %d bytes", longest)
	}
	if s.Name == "payment" && len(sums) < 15 {
		t.Errorf("payment wrote %d lines: no stack trace?", len(sums))
	}
}

func checkSamples(t *testing.T, s Service, body string) {
	t.Helper()
	got := entries(t, s, ledger.Metrics)
	if len(got) != 1 {
		t.Fatalf("%s: %d bodies in the ledger, want the scraper's alone", s.Name, len(got))
	}
	want := 0
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			want++
		}
	}
	if got[0].Samples != want || want < 30 {
		t.Errorf("%s: %d samples in the ledger, %d in the body", s.Name, got[0].Samples, want)
	}
}

func TestUnknownServicesAreRefused(t *testing.T) {
	for _, x := range []*Topology{{}, {Services: []Service{{Name: "bakery"}}}} {
		if err := Run(t.Context(), x, "bakery", io.Discard, io.Discard); err == nil {
			t.Error("a service that the shop has not was run")
		}
	}
}

func TestTopologyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.json")
	want := Topology{OTLP: "http://x", Cluster: "c", Node: "n", Namespace: "s", Services: []Service{{"a", "b", "c", "d", "e"}}}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTopology(path)
	if err != nil || fmt.Sprint(*got) != fmt.Sprint(want) {
		t.Errorf("got %+v, %v", got, err)
	}
}
