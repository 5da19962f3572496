package elasticsearch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/testbed"
)

// A cluster is the real server with data streams of this test's own, and a transport that can go wrong.
type cluster struct {
	t      *testing.T
	o      Options
	client *client // undisturbed
	faults *faults
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	t.Parallel() // data streams of one's own; most of a test's time the server waits for its disk
	id := testbed.Name("")
	f := &faults{next: http.DefaultTransport}
	c := &cluster{t: t, faults: f, o: Options{
		URLs:                 []string{testbed.Elasticsearch(t)},
		LogsDataStream:       "logs-braidtest-" + id,
		TracesDataStream:     "traces-braidtest-" + id,
		DeadLetterDataStream: "logs-braidtest.dead-" + id,
		Compression:          telemetry.Gzip,
		StateDir:             t.TempDir(),
		FS:                   disk.OS,
		Transport:            f,
		Logger:               slog.New(slog.DiscardHandler),
	}}
	plain := c.o
	plain.Transport = http.DefaultTransport
	var err error
	if c.client, err = newClient(plain); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, stream := range []string{c.o.LogsDataStream, c.o.TracesDataStream, c.o.DeadLetterDataStream} {
			_ = c.client.call(context.Background(), request{method: http.MethodDelete, path: "/_data_stream/" + stream}, nil)
			_ = c.client.call(context.Background(), request{method: http.MethodDelete, path: "/_index_template/braid-" + stream}, nil)
		}
	})
	return c
}

// exporter returns a new process's exporter: its state is what the last one left.
func (c *cluster) exporter() *Exporter {
	c.t.Helper()
	o := c.o
	o.Registerer = prometheus.NewRegistry()
	e, err := New(o)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, l := range []*lane{e.logs, e.spans, e.dead} {
		l.pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	return e
}

func (c *cluster) reader() *Reader {
	c.t.Helper()
	r, err := NewReader(c.o)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *cluster) rollover(stream string) {
	c.t.Helper()
	if err := c.client.call(context.Background(), request{method: http.MethodPost, path: "/" + stream + "/_rollover"}, nil); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) refresh(stream string) {
	c.t.Helper()
	if err := c.client.call(context.Background(), request{method: http.MethodPost, path: "/" + stream + "/_refresh"}, nil); err != nil {
		c.t.Fatal(err)
	}
}

// documents returns the sources of all documents of stream by id; an id that is there twice fails the test.
func (c *cluster) documents(stream string) map[string]string {
	c.t.Helper()
	c.refresh(stream)
	s, err := c.client.open(context.Background(), stream)
	if err != nil || s == nil {
		c.t.Fatalf("cannot read %s: %v", stream, err)
	}
	defer s.close(context.Background())
	found := map[string]string{}
	err = s.scan(context.Background(), dict{"match_all": dict{}}, byTime("asc"), 5000, func(h *hit) (bool, error) {
		if _, twice := found[h.ID]; twice {
			c.t.Errorf("document %s is there twice", h.ID)
		}
		found[h.ID] = string(h.Source)
		return true, nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return found
}

func result(e *Exporter, stream, result string) float64 {
	return testutil.ToFloat64(e.logs.metrics.documents.WithLabelValues(stream, result))
}

// write does what the pipeline's retry does: it sends the same batches until they are taken.
func write(t *testing.T, e *Exporter, batches []*telemetry.Batch) {
	t.Helper()
	var err error
	for range 50 {
		if err = e.Write(t.Context(), batches); err == nil {
			return
		}
		if telemetry.IsPermanent(err) {
			break
		}
	}
	t.Fatalf("write: %v", err)
}

// logBatch returns a batch of n lines of the file numbered file, from its line first on, received at received.
func logBatch(file byte, first, n int, received int64) *telemetry.Batch {
	b := &telemetry.Batch{
		Resource: &telemetry.Resource{
			Cluster: "demo", Node: "node-1", Namespace: "shop", Pod: fmt.Sprintf("cart-%d", file), PodUID: fmt.Sprintf("uid-%d", file),
			Container: "app", Service: "cart", Attrs: []telemetry.Attr{{Key: "k8s.deployment.name", Value: telemetry.String("cart")}},
		},
		FileID: telemetry.FileID{1, file}, ReceivedUnixNano: received,
	}
	for i := first; i < first+n; i++ {
		position := int64(i+1) * 100
		at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC).UnixNano() + int64(i)*1_000_001
		b.Logs = append(b.Logs, telemetry.Log{
			UnixNano: at, ObservedUnixNano: at + 5_000_000, Severity: telemetry.Severity(1 + i%24), Stream: telemetry.Stream(1 + i%2),
			TraceID: telemetry.TraceID{15: byte(i), 14: byte(i >> 8), 0: 1}, SpanID: telemetry.SpanID{7: byte(i), 0: file + 1},
			Position: position, UID: telemetry.FileUID(b.FileID, position),
			Body:  fmt.Appendf(nil, "line %d of \"file\" %d \u2192 ok", i, file),
			Attrs: []telemetry.Attr{{Key: "http.method", Value: telemetry.String("GET")}, {Key: "n", Value: telemetry.Int(int64(i))}},
		})
	}
	return b
}

func spanBatch(first, n int, received int64) *telemetry.Batch {
	b := &telemetry.Batch{
		Resource:         &telemetry.Resource{Service: "cart", Namespace: "shop", Restart: -1},
		Scope:            telemetry.Scope{Name: "otelhttp", Version: "1.0"},
		ReceivedUnixNano: received,
	}
	for i := first; i < first+n; i++ {
		start := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC).UnixNano() + int64(i)*1_000_003
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: telemetry.TraceID{15: byte(i), 14: byte(i >> 8), 0: 1}, SpanID: telemetry.SpanID{7: byte(i), 6: byte(i >> 8), 0: 9},
			ParentID: telemetry.SpanID{1}, Kind: telemetry.SpanKindServer, Status: telemetry.StatusError, Name: "GET /cart",
			StatusMessage: "no", StartUnixNano: start, EndUnixNano: start + 12_345,
			Attrs: []telemetry.Attr{{Key: "ok", Value: telemetry.Value{Kind: telemetry.BoolValue, Int: 1}}},
		})
	}
	return b
}

// digest is a hash of lines that does not depend on their order.
func digest(lines []string) string {
	slices.Sort(lines)
	return fmt.Sprintf("%d %x", len(lines), sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

// faults is a transport whose bulk requests go through bulk while it is set.
type faults struct {
	next http.RoundTripper

	mu   sync.Mutex
	bulk func(r *http.Request, body []byte) (*http.Response, error)
}

func (f *faults) onBulk(bulk func(r *http.Request, body []byte) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bulk = bulk
}

func (f *faults) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	bulk := f.bulk
	f.mu.Unlock()
	if bulk == nil || !strings.HasSuffix(r.URL.Path, "/_bulk") {
		return f.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return bulk(r, body)
}

// forward sends body in place of r's.
func (f *faults) forward(r *http.Request, body []byte) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return f.next.RoundTrip(r)
}

func answerWith(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}, "Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(body)),
	}
}
