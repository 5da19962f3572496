package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/braidhq/braid/testbed"
)

const (
	linkBehind = 65 * time.Second // of the one exporter that is slow
	linkSends  = 75 * time.Second // during which traces begin; lines and late spans come for half a minute more
)

// A linkRun is the link test on its way.
type linkRun struct {
	*pipelineUnderTest
	seed       uint64
	plan       *linkPlan
	sender     *linkSender
	recounter  *recounter
	es         elastic
	prometheus string
	laggard    *laggard
	streams    [3]string // of lines, spans and dead letters
	aggregator *process
	sent       chan error // what sending has ended with
	enough     func()     // ends what is scraped
}

// No link dangles. A hundred thousand traces of ten services, one of them huge, some malformed, some of an id used before, are
// sent with their lines before, during and long after their spans, with the spans out of order and some of them late, and
// with exemplars in scraped metrics, while the aggregator is killed three times and one exporter is a minute behind. Then
// everything is counted again from outside, over the stores' own interfaces, by following the links.
func TestEveryLinkHolds(t *testing.T) {
	begin := time.Now()
	r := startLinks(t, linkSize{traces: 100_000, lasts: linkSends, huge: 50_000, special: 30})
	t.Logf("began after %v", time.Since(begin).Round(time.Millisecond))
	r.killAndWait(t)
	if r.laggard.refused.Load() == 0 {
		t.Error("no exporter was behind")
	}
	r.laggard.through.Store(true)
	t.Logf("Elasticsearch was away for %v and refused %d requests", time.Since(r.plan.origin).Round(time.Second), r.laggard.refused.Load())
	if err := <-r.sent; err != nil {
		t.Fatalf("cannot send: %v\n%s", err, r.aggregator.tail())
	}
	t.Logf("sent %d spans and %d lines in %d requests, %d repeats and %d that were acknowledged before, within %v", r.sender.spans.Load(), len(r.plan.lines),
		r.sender.requests.Load(), r.sender.repeats.Load(), r.sender.again.Load(), time.Since(r.plan.origin).Round(time.Second))
	r.waitForAll(t)
	t.Logf("all has gone through after %v", time.Since(r.plan.origin).Round(time.Second))
	r.enough()
	seen := r.evidence(t)
	begin = time.Now()
	j := judge(r.plan, seen)
	t.Logf("judged within %v", time.Since(begin).Round(time.Millisecond))
	t.Logf("%d claims: %v", len(j.claims), j.claims)
	for _, rule := range linkRules {
		if j.claims[rule] == 0 {
			t.Errorf("nothing was claimed of %q", rule)
		}
	}
	if report := j.report(); report != "" {
		t.Errorf("%s\n%s", report, r.aggregator.tail())
	}
	r.aggregator.stop(t)
}

func startLinks(t *testing.T, size linkSize) *linkRun {
	t.Helper()
	s := seed(t)
	r := &linkRun{seed: s, es: elastic{testbed.Elasticsearch(t)}, prometheus: testbed.Prometheus(t), sent: make(chan error, 1)}
	run := "links" + strconv.FormatUint(s, 36) + strconv.FormatInt(time.Now().UnixNano(), 36)
	r.streams = [3]string{"logs-" + run + "-default", "traces-" + run + "-default", "logs-" + run + ".dead-default"}
	var err error
	if r.laggard, err = newLaggard(r.es.url); err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(r.laggard)
	t.Cleanup(proxy.Close)
	r.pipelineUnderTest = newPipeline(t, t.TempDir(), fmt.Sprintf(`  - name: local
    store: {}
  - name: es
    elasticsearch: {urls: [%q], logs_data_stream: %s, traces_data_stream: %s, dead_letter_data_stream: %s}
  - name: prometheus
    remote_write: {url: %q, protobuf_message: io.prometheus.write.v2.Request}
sampling:
  wait: %v
  late: %v
  keep:
    - {name: errors, type: error}
    - {name: slow, type: slow, above: 2s}
    - {name: pay, type: attribute, key: http.route, values: [/pay]}
    - {name: some, type: share, probability: %v}
logs: {sampling: follow_trace}
span_metrics: {interval: 5s}
`, proxy.URL, r.streams[0], r.streams[1], r.streams[2], r.prometheus+"/api/v1/write", linkWait, linkLate, linkShare))
	r.plan = newLinkPlan(s, run, size)
	r.sender = newLinkSender(r.plan, "http://"+r.aggregatorHTTP)
	r.aggregator = r.startAggregator(t, "")
	r.aggregator.waitReady(t, r.aggregatorWeb)
	r.plan.origin = time.Now()
	r.recounter = &recounter{r.plan, r.plan.origin.Add(-time.Minute)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
	t.Cleanup(cancel)
	r.enough = cancel
	go func() { r.sent <- r.sender.run(ctx) }()
	return r
}

// killAndWait kills the aggregator a few times while it is sent to, and returns when Elasticsearch is as far behind as
// it is to be.
func (r *linkRun) killAndWait(t *testing.T) {
	t.Helper()
	chance := rand.New(rand.NewPCG(r.seed, 2))
	upTo := func(d time.Duration) time.Duration { return time.Duration(chance.Int64N(int64(d))) }
	// At the last one Elasticsearch is as far behind as it gets: further than the aggregator looks back by itself.
	for _, at := range []time.Duration{5*time.Second + upTo(15*time.Second), 25*time.Second + upTo(15*time.Second), linkBehind - time.Second - upTo(2*time.Second)} {
		if err := pause(t.Context(), time.Until(r.plan.origin.Add(at))); err != nil {
			t.Fatal(err)
		}
		if r.aggregator.exited() {
			t.Fatalf("it has exited by itself: %v\n%s", r.aggregator.err, r.aggregator.tail())
		}
		r.aggregator.kill()
		begin := time.Now()
		r.aggregator = r.startAggregator(t, "")
		r.aggregator.waitReady(t, r.aggregatorWeb)
		t.Logf("killed after %v, ready again %v later", at.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
	}
	if err := pause(t.Context(), time.Until(r.plan.origin.Add(linkBehind))); err != nil {
		t.Fatal(err)
	}
}

// waitForAll waits until everything that was sent has gone through everywhere.
func (r *linkRun) waitForAll(t *testing.T) {
	t.Helper()
	eventually(t, "every line and span has gone through", func() (bool, error) {
		page, err := get("http://" + r.aggregatorWeb + "/metrics")
		if err != nil {
			return false, errors.Join(err, errors.New(r.aggregator.tail()))
		}
		left := metric(page, "braid_pipeline_in_flight_frames", `signal="logs"`) + metric(page, "braid_pipeline_in_flight_frames", `signal="spans"`)
		return left == 0, fmt.Errorf("%v frames are in flight", left)
	})
	r.waitForSamples(t)
}

// waitForSamples waits for what is sent last, and for the last span's call.
func (r *linkRun) waitForSamples(t *testing.T) {
	t.Helper()
	eventually(t, "no exemplar waits", func() (bool, error) {
		page, err := get("http://" + r.aggregatorWeb + "/metrics")
		return err == nil && metric(page, "braid_correlate_exemplars_held") == 0, err
	})
	if err := r.sender.sendMarker(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, base := range r.sampleStores() {
		eventually(t, "every sample is in "+name, func() (bool, error) {
			found, err := r.recounter.sum(base, fmt.Sprintf(`last_over_time(%s{run=%q}[1h])`, linkMarker, r.plan.run), "run")
			if err != nil || found[r.plan.run] != 1 {
				return false, fmt.Errorf("the last is not there: %v, %w", found, err)
			}
			calls, err := r.recounter.calls(base)
			n := 0.0
			for _, of := range calls {
				n += of
			}
			return int64(n) >= r.sender.spans.Load(), fmt.Errorf("%v calls of %d, %w\n%s", n, r.sender.spans.Load(), err, r.aggregator.tail())
		})
	}
}

func (r *linkRun) sampleStores() map[string]string {
	return map[string]string{"local": "http://" + r.aggregatorWeb, "prometheus": r.prometheus}
}

// linkMarker is the series of the last sample.
const linkMarker = "links_done"

func (s *linkSender) sendMarker(ctx context.Context) error {
	_, err := s.write(ctx, "", &writev2.Request{
		Symbols: []string{"", "__name__", linkMarker, "run", s.plan.run},
		Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2, 3, 4}, Samples: []writev2.Sample{{Value: 1, Timestamp: time.Now().UnixMilli()}},
		}},
	})
	return err
}

// evidence reads all stores: the exemplars first, so that what they name has to be there.
func (r *linkRun) evidence(t *testing.T) *evidence {
	t.Helper()
	begin := time.Now()
	seen := &evidence{stores: map[string]*shelved{}, samples: map[string]*samplesFound{}, calls: map[string]map[string]float64{}}
	var err error
	for name, base := range r.sampleStores() {
		if seen.samples[name], err = r.recounter.samples(base); err != nil {
			t.Fatal(err)
		}
		if seen.calls[name], err = r.recounter.calls(base); err != nil {
			t.Fatal(err)
		}
		scraped := 0
		for _, l := range seen.samples[name].links {
			if l.scraped {
				scraped++
			}
		}
		t.Logf("%s has %d scraped exemplars, and %d of spans", name, scraped, len(seen.samples[name].links)-scraped)
	}
	if seen.calls["/metrics/spans"], err = r.recounter.scrape(r.aggregatorWeb); err != nil {
		t.Fatal(err)
	}
	seen.stores["local"] = r.recounter.store(t, r.aggregatorWeb)
	t.Logf("read the store within %v", time.Since(begin).Round(time.Millisecond))
	seen.stores["elasticsearch"] = r.recounter.elasticsearch(t, r.es, r.streams[0], r.streams[1])
	t.Logf("read everything within %v", time.Since(begin).Round(time.Millisecond))
	for name, s := range seen.stores {
		t.Logf("%s has %d traces and %d lines", name, len(s.spans), len(s.lines))
	}
	dead, err := r.es.count(r.streams[2])
	if err != nil || dead > 0 {
		t.Errorf("%d dead letters, %v", dead, err)
	}
	page, err := get("http://" + r.aggregatorWeb + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	seen.counts = r.recounter.counts(page)
	return seen
}

// linkRules are the claims that the test is there for: each has to be made.
var linkRules = []string{
	"a reason in time keeps the trace", "a stored trace has all its spans", "a stored trace has all its lines",
	"a line is found by its trace", "lines follow their trace", "nothing drops what warns, or has no trace", "the share",
	"both store the same traces", "both store the same lines", "every stored exemplar resolves",
	"an exemplar of a stored trace is stored", "an exemplar of no trace is taken off", "span metrics have exemplars",
	"calls_total is what was sent", "counters never go down", "sent once, stored once", "nothing is unaccounted for",
}
