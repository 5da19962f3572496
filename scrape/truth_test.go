package scrape

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/util/teststorage"
)

// truths are pages that Prometheus and braid must make the same samples of.
var truths = []struct {
	name, more string
	start      bool // StartTimestamps
	pages      func(t *testing.T) []page
}{
	{name: "text, with a series that goes and one that comes", pages: texts(plainText, `# HELP reqs Requests.
# TYPE reqs counter
reqs{code="200"} 1
reqs{code="500"} 2
temp 20.5
`, `# HELP reqs Requests.
# TYPE reqs counter
reqs{code="200"} 3
temp NaN
new_one -Inf
`, `temp 4
`)},
	{name: "explicit time stamps", pages: texts(plainText, "a 1 1700000000000\nb 1\n", "a 2 1700000000001\nb 1\n", "b 1\n")},
	{name: "explicit time stamps, tracked", more: "  track_timestamps_staleness: true\n",
		pages: texts(plainText, "a 1 1700000000000\nb 1\n", "b 1\n")},
	{name: "explicit time stamps, not honoured", more: "  honor_timestamps: false\n", pages: texts(plainText, "a 1 1700000000000\n", "a 1 1\n")},
	{name: "honor_labels", more: "  honor_labels: true\n", pages: texts(plainText, `a{instance="mine",job="",env="x"} 1`+"\n")},
	{name: "labels of its own that clash", pages: texts(plainText, `a{instance="mine",env="x",exported_env="y"} 1`+"\n")},
	{name: "metric relabelling", more: `  metric_relabel_configs:
  - {source_labels: [__name__], regex: 'drop_.*', action: drop}
  - {source_labels: [path], regex: '/(.*)', target_label: first, replacement: '$1'}
  - {regex: path, action: labeldrop}
`, pages: texts(plainText, "drop_me 1\nkeep{path=\"/x\"} 2\n", "drop_me 1\nkeep{path=\"/y\"} 2\n")},
	{name: "a target that fails and comes back", pages: func(*testing.T) []page {
		return []page{{0, plainText, "a 1\n"}, {500, plainText, "oops"}, {0, plainText, "a 2\n"}, {0, plainText, "not { a metric\n"}, {0, plainText, "a 3\n"}}
	}},
	{name: "sample_limit", more: "  sample_limit: 2\n", pages: texts(plainText, "a 1\nb 1\n", "a 1\nb 1\nc 1\n")},
	{name: "OpenMetrics with exemplars and units", pages: texts(openMetrics, om(1), om(2))},
	{name: "OpenMetrics with start time stamps", start: true, pages: texts(openMetrics, om(1), om(2))},
	{name: "extra scrape metrics", more: "  extra_scrape_metrics: true\n  body_size_limit: 1MB\n", pages: texts(plainText, "a 1\n")},
	{name: "native histograms by protobuf", more: "  scrape_native_histograms: true\n", pages: nativeHistograms},
	{name: "native and classic histograms by protobuf, with start time stamps", start: true,
		more: "  scrape_native_histograms: true\n  always_scrape_classic_histograms: true\n", pages: nativeHistograms},
	{name: "classic histograms converted", more: "  convert_classic_histograms_to_nhcb: true\n", pages: texts(openMetrics, om(1), om(2))},
}

func texts(contentType string, bodies ...string) func(*testing.T) []page {
	return func(*testing.T) []page {
		var pages []page
		for _, b := range bodies {
			pages = append(pages, page{0, contentType, b})
		}
		return pages
	}
}

func om(scrape int) string {
	n := string(rune('0' + scrape))
	return `# HELP took_seconds How long it took.
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{le="1.0"} ` + n + ` # {trace_id="a` + n + `"} 0.` + n + `
took_seconds_bucket{le="+Inf"} ` + n + ` # {trace_id="b` + n + `"} 0.` + n + ` 160000000` + n + `.5
took_seconds_count ` + n + `
took_seconds_sum 0.5
took_seconds_created 1600000000.1
# TYPE calls counter
calls_total ` + n + ` # {trace_id="c` + n + `"} 1
calls_created 1600000000.2
# EOF
`
}

// nativeHistograms are pages that client_golang makes.
func nativeHistograms(t *testing.T) []page {
	reg := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "took_seconds", Help: "How long it took.", NativeHistogramBucketFactor: 1.1, Buckets: []float64{1, 2},
	})
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total", Help: "Calls."}, []string{"code"})
	reg.MustRegister(h, c)
	var pages []page
	for i := range 3 {
		h.(prometheus.ExemplarObserver).ObserveWithExemplar(float64(i), prometheus.Labels{"trace_id": string(rune('a' + i))})
		h.Observe(1e6)
		c.WithLabelValues("200").Inc()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		enc := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeProtoDelim))
		for _, f := range families {
			if err := enc.Encode(f); err != nil {
				t.Fatal(err)
			}
		}
		pages = append(pages, page{0, protobuf, b.String()})
	}
	return pages
}

func TestSameSamplesAsPrometheus(t *testing.T) {
	for _, c := range truths {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pages := c.pages(t)
			for range 5 {
				theirs, ours := newTarget(t, pages), newTarget(t, pages)
				want, got := make(chan []teststorage.Sample, 1), make(chan []teststorage.Sample, 1)
				go func() { want <- byPrometheus(t, theirs, c.more, c.start) }()
				go func() { got <- byBraid(t, ours, c.more, c.start) }()
				w, g := scrapes(<-want, len(pages)), scrapes(<-got, len(pages))
				if late(w, pages) || late(g, pages) {
					t.Log("a scrape took longer than its timeout on this busy machine: once more")
					continue
				}
				if len(w) < len(pages)*6 {
					t.Fatalf("the reference has %d samples only", len(w))
				}
				teststorage.RequireEqual(t, w, g)
				return
			}
			t.Fatal("five times a scrape took longer than its timeout")
		})
	}
}

// late says that a page which should have been scraped was not.
func late(samples []teststorage.Sample, pages []page) bool {
	up := 0
	for _, s := range samples {
		if name(s) != "up" {
			continue
		}
		if s.V == 0 && pages[up].status == 0 && pages[up].body[:3] != "not" && pages[up].body != "a 1\nb 1\nc 1\n" {
			return true
		}
		up++
	}
	return up != len(pages)
}

// scrapes returns the samples of the first n scrapes with times relative to their scrape, without what no two runs
// have in common.
func scrapes(samples []teststorage.Sample, n int) []teststorage.Sample {
	var out []teststorage.Sample
	from := 0
	for i, s := range samples {
		last := i+1 == len(samples) || (name(s) == "scrape_series_added" && name(samples[i+1]) != "scrape_timeout_seconds") || name(s) == "scrape_body_size_bytes"
		if !last {
			continue
		}
		scraped := samples[from : i+1]
		from = i + 1
		at := s.T
		for _, s := range scraped {
			if s.T == at {
				s.T = 0
			}
			for j := range s.ES {
				if s.ES[j].Ts == at {
					s.ES[j].Ts = 0
				}
			}
			if name(s) == "scrape_duration_seconds" {
				s.V = 0
			}
			s.MF = ""
			if isStale(s) {
				s.M = metadata.Metadata{}
			}
			out = append(out, s)
		}
		if n--; n == 0 {
			break
		}
	}
	return out
}

func byPrometheus(t *testing.T, tg *target, more string, start bool) []teststorage.Sample {
	cfg := parse(t, tg.Listener.Addr().String(), more)
	store := teststorage.NewAppendable()
	reg := prometheus.NewRegistry()
	sd, err := discovery.CreateAndRegisterSDMetrics(reg)
	if err != nil {
		t.Error(err)
		return nil
	}
	logger := slog.New(slog.DiscardHandler)
	scraper, err := scrape.NewManager(&scrape.Options{
		AppendMetadata: true, ParseST: start, DiscoveryReloadOnStartup: true, DiscoveryReloadInterval: model.Duration(time.Second),
	}, logger, nil, nil, store, reg)
	if err != nil {
		t.Error(err)
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &managers{scraper: scraper, discoverer: discovery.NewManager(ctx, logger, reg, sd), cancel: cancel}
	if err := m.apply(cfg); err != nil {
		t.Error(err)
	}
	m.run()
	tg.awaitPast(t)
	m.stop()
	return onlyNewExemplars(store.ResultSamples())
}

// onlyNewExemplars takes out what Prometheus' storages take out, and its test storage does not: exemplars that a
// target shows again.
func onlyNewExemplars(samples []teststorage.Sample) []teststorage.Sample {
	seen := map[string]bool{}
	for i, s := range samples {
		var fresh []exemplar.Exemplar
		for _, e := range s.ES {
			key := fmt.Sprint(s.L, e)
			if !seen[key] {
				fresh = append(fresh, e)
			}
			seen[key] = true
		}
		samples[i].ES = fresh
	}
	return samples
}

func byBraid(t *testing.T, tg *target, more string, start bool) []teststorage.Sample {
	cfg := parse(t, tg.Listener.Addr().String(), more)
	s, err := New(Options{Configs: cfg.ScrapeConfigs, Global: cfg.GlobalConfig, StartTimestamps: start, DiscoveryInterval: time.Second})
	if err != nil {
		t.Error(err)
		return nil
	}
	k := newKeeper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, k) }()
	tg.awaitPast(t)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return k.all()
}
