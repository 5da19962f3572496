package aggregator

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

// A collector is who spans are exported to. It hears of their names.
type collector struct {
	*httptest.Server
	names chan string
}

func newCollector(t *testing.T) *collector {
	c := &collector{names: make(chan string, 1000)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(r.Body); err != nil {
				t.Error(err)
				return
			}
		}
		plain, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		batches, err := otlp.NewDecoder().Spans(plain)
		if err != nil {
			t.Error(err)
		}
		for _, b := range batches {
			for i := range b.Spans {
				c.names <- b.Spans[i].Name
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// names is a sink of the names of series.
type names map[string]bool

func (n names) Write(_ context.Context, batches []*telemetry.Batch) error {
	for _, b := range batches {
		for i := range b.Samples {
			n[b.Samples[i].Series.Labels.Get(model.MetricNameLabel)] = true
		}
	}
	return nil
}

// A spanRun is one run of an aggregator that samples spans, keeps those of failed traces and exports them.
type spanRun struct {
	dir, spanMetrics string
	to               *collector
}

// open returns an aggregator that has begun on its queue; end ends both.
func (r *spanRun) open(t *testing.T) (a *aggregator, ctx context.Context, end func()) {
	t.Helper()
	cfg, err := config.ParseAggregator("aggregator.yaml", fmt.Appendf(nil, `data_dir: %s
receivers: {http: 127.0.0.1:0}
exporters: [{name: out, otlp: {url: %s}}]
web: {listen: {address: 127.0.0.1:0}}
sampling: {wait: 100ms, late: 1s, keep: [{name: failed, type: error}]}
span_metrics: {interval: 10ms%s}
`, r.dir, r.to.URL, r.spanMetrics))
	if err != nil {
		t.Fatal(err)
	}
	registry, logger := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	access, err := openAccess(cfg, "test", registry, logger)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := pipeline.Open(run.QueueOptions(filepath.Join(cfg.DataDir, "queue"), cfg.Queue, registry, logger))
	if err != nil {
		t.Fatal(err)
	}
	r.samples(t, queue) // of the run before
	group := run.NewGroup()
	a = &aggregator{
		queue: queue, access: access, registries: run.NewRegistries(registry), state: &run.State{}, logger: logger,
		slot: group.Stage().Slot("deliveries"),
	}
	if err := a.begin(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- group.Wait(ctx, time.Minute) }()
	return a, ctx, func() {
		stop()
		for _, err := range []error{<-ended, a.end(), queue.Close(), access.close()} {
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// samples returns the names of the series that were appended to the lane of samples since it was asked last.
func (r *spanRun) samples(t *testing.T, queue *pipeline.Queue) names {
	t.Helper()
	cursor, err := queue.Cursor(telemetry.Samples, "test", pipeline.CursorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	all := names{}
	d := &pipeline.Delivery{Cursor: cursor, Sink: all}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	<-d.CaughtUp()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return all
}

// run appends two traces, of which one failed, waits until that one is exported and returns how many calls are counted at
// /metrics/spans (-1: there are no series), and the series that were appended for the exporters meanwhile.
func (r *spanRun) run(t *testing.T, number byte) (calls int, exported names) {
	t.Helper()
	a, ctx, end := r.open(t)
	defer end()
	for i, name := range []string{"dropped", "kept"} {
		s := telemetry.Span{Name: name, TraceID: telemetry.TraceID{number, byte(i), 1}, SpanID: telemetry.SpanID{1}, Kind: telemetry.SpanKindServer}
		if s.StartUnixNano, s.EndUnixNano = 1e18, 1e18+1e6; name == "kept" {
			s.Status = telemetry.StatusError
		}
		batch := &telemetry.Batch{Resource: &telemetry.Resource{Service: "shop"}, Spans: []telemetry.Span{s}}
		if err := pipeline.Encode(a.queue).Write(ctx, []*telemetry.Batch{batch}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case name := <-r.to.names:
		if name != "kept" {
			t.Errorf("exported is %q", name)
		}
	case <-ctx.Done():
		t.Fatal("nothing is exported")
	}
	calls = scraped(a)
	if calls >= 0 { // then samples come
		cursor, err := a.queue.Cursor(telemetry.Samples, "test", pipeline.CursorOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cursor.Next(ctx, 1); err != nil {
			t.Fatal(err)
		}
		cursor.Close()
	}
	return calls, r.samples(t, a.queue)
}

var callsOfKept = regexp.MustCompile(`(?m)^traces_\w*calls_total\{.*span_name="kept".*\} (\d+)`)

// scraped returns how often kept was called by /metrics/spans, -1 without any series that was made of spans.
func scraped(a *aggregator) (calls int) {
	w := httptest.NewRecorder()
	a.serve(func(c *current) http.Handler { return c.spans }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics/spans", nil))
	text := w.Body.String()
	if !strings.Contains(text, "traces_") {
		return -1
	}
	if m := callsOfKept.FindStringSubmatch(text); m != nil {
		calls, _ = strconv.Atoi(m[1]) // digits, by the expression
	}
	return calls
}

// Without span metrics spans are sampled and exported as ever; on again, they begin anew.
func TestSpanMetricsCanBeTurnedOffAndOn(t *testing.T) {
	r := &spanRun{dir: t.TempDir(), to: newCollector(t)}
	for i, test := range []struct {
		enabled string
		calls   int
	}{{"", 1}, {", enabled: true", 2}, {", enabled: false", -1}, {", enabled: false", -1}, {", enabled: true", 1}} {
		r.spanMetrics = test.enabled
		before := len(r.to.names)
		calls, exported := r.run(t, byte(i))
		if calls != test.calls || before != 0 {
			t.Errorf("run %d%s: %d calls are counted, not %d; %d spans were exported before", i, test.enabled, calls, test.calls, before)
		}
		if on := test.calls >= 0; on != exported["traces_spanmetrics_calls_total"] {
			t.Errorf("run %d%s: exported are %v", i, test.enabled, exported)
		}
	}
}
