package scrape

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/util/teststorage"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 2 * time.Minute

// keeper is a Sink that keeps copies in the shape of Prometheus' test storage.
type keeper struct {
	mu      sync.Mutex
	samples []teststorage.Sample
	writes  int
	err     error
	news    chan struct{} // one element when something came
}

func newKeeper() *keeper { return &keeper{news: make(chan struct{}, 1)} }

func (k *keeper) Write(_ context.Context, batches []*telemetry.Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writes++
	if k.err != nil {
		return k.err
	}
	for _, b := range batches {
		for _, s := range b.Samples {
			k.samples = append(k.samples, teststorage.Sample{
				L: s.Series.Labels, M: metadata.Metadata{Type: s.Series.Type, Unit: s.Series.Unit, Help: s.Series.Help},
				ST: s.StartUnixMilli, T: s.UnixMilli, V: s.Value, H: s.Histogram, FH: s.FloatHistogram, ES: s.Exemplars,
			})
		}
		clear(b.Samples) // what is lent may be edited
	}
	select {
	case k.news <- struct{}{}:
	default:
	}
	return nil
}

func (k *keeper) all() []teststorage.Sample {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]teststorage.Sample(nil), k.samples...)
}

// await returns all samples once enough says so.
func (k *keeper) await(t *testing.T, enough func([]teststorage.Sample) bool) []teststorage.Sample {
	t.Helper()
	deadline := time.After(patience)
	for {
		if got := k.all(); enough(got) {
			return got
		}
		select {
		case <-k.news:
		case <-deadline:
			t.Fatalf("not enough after %s:\n%v", patience, k.all())
		}
	}
}

// A page is what a target answers to one scrape.
type page struct {
	status            int
	contentType, body string
}

const (
	plainText   = "text/plain; version=0.0.4"
	openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	protobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

// A target answers one page after the other, then 404. past is closed when it is asked for more: by then the scrapes
// of all its pages are committed.
type target struct {
	*httptest.Server
	past chan struct{}
}

func newTarget(t *testing.T, pages []page) *target {
	tg := &target{past: make(chan struct{})}
	var mu sync.Mutex
	asked := 0
	tg.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		if asked > len(pages) {
			if asked == len(pages)+1 {
				close(tg.past)
			}
			http.NotFound(w, nil)
			return
		}
		p := pages[asked-1]
		w.Header().Set("Content-Type", p.contentType)
		if p.status != 0 {
			w.WriteHeader(p.status)
		}
		_, _ = w.Write([]byte(p.body))
	}))
	t.Cleanup(tg.Close)
	return tg
}

func (tg *target) awaitPast(t *testing.T) {
	t.Helper()
	select {
	case <-tg.past:
	case <-time.After(patience):
		t.Error("the target was not scraped often enough")
	}
}

// parse reads a scrape config of one job, whose target is called target:80 wherever it is.
func parse(t *testing.T, address, more string) *config.Config {
	t.Helper()
	cfg, err := config.Load(fmt.Sprintf(`
scrape_configs:
- job_name: job
  scrape_interval: 1s
  scrape_timeout: 1s
  static_configs: [{targets: [%q], labels: {env: test}}]
  relabel_configs: [{target_label: instance, replacement: "target:80"}]
%s`, address, more), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start runs s into k until the returned function is called.
func start(t *testing.T, s *Source, k *keeper) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, k) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func isStale(s teststorage.Sample) bool { return s.H == nil && s.FH == nil && value.IsStaleNaN(s.V) }

func name(s teststorage.Sample) string { return s.L.Get(model.MetricNameLabel) }
