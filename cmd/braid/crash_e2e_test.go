package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/braidhq/braid/testbed"
)

// The places at which agent and aggregator are killed, each at a seeded time of passing by.
var (
	agentPoints = []string{
		"agent.logs.before-send", "agent.logs.after-ack", "agent.state.before", "agent.state.after", "otlp.export.sent",
		"queue.append.written", "queue.append.synced", "receiver.before-append", "receiver.after-append",
		"delivery.before-write", "delivery.after-write", "cursor.commit.before", "cursor.commit.after",
	}
	aggregatorPoints = []string{
		"receiver.before-append", "receiver.after-append", "queue.append.written", "queue.append.synced", "queue.segment.rolled",
		"cursor.commit.before", "cursor.commit.after", "delivery.before-write", "delivery.after-write",
		"observe.snapshot.before", "observe.snapshot.after", "es.bulk.before", "es.bulk.middle", "es.bulk.after",
		"es.state.before", "es.state.after", "store.write.before", "store.write.after",
	}
)

// spanSender pushes spans to the agent until it has the answer for each request, as an SDK with retry does.
type spanSender struct {
	url  string
	sent int
	r    *rand.Rand
}

func (s *spanSender) push(t *testing.T, n int) {
	t.Helper()
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "chaos")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for range n {
		sp := spans.AppendEmpty()
		var trace pcommon.TraceID
		var id pcommon.SpanID
		for i := range trace {
			trace[i] = byte(s.r.IntN(255) + 1)
		}
		copy(id[:], trace[:8])
		sp.SetTraceID(trace)
		sp.SetSpanID(id)
		sp.SetName("work")
		sp.SetKind(ptrace.SpanKindServer)
		sp.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		sp.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(time.Millisecond)))
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the agent takes spans", func() (bool, error) {
		resp, err := http.Post(s.url, "application/x-protobuf", bytes.NewReader(body))
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK, fmt.Errorf("%s", resp.Status)
	})
	s.sent += n
}

// A load writes lines and pushes spans until it is stopped.
type load struct {
	stop chan struct{}
	once sync.Once
	done sync.WaitGroup
}

func startLoad(t *testing.T, tree *shelf, spans *spanSender) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for i := range 3 {
		c := tree.open(t, i, 256<<10)
		l.done.Go(func() {
			defer c.close(t)
			l.every(20*time.Millisecond, func() { c.write(t, 5) })
		})
	}
	l.done.Go(func() { l.every(50*time.Millisecond, func() { spans.push(t, 3) }) })
	return l
}

func (l *load) every(d time.Duration, do func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			do()
		}
	}
}

func (l *load) end() {
	l.once.Do(func() { close(l.stop) })
	l.done.Wait()
}

// seed returns the test's seed, from BRAID_TEST_SEED or the clock, and prints it.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if text := os.Getenv("BRAID_TEST_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("BRAID_TEST_SEED=%d", s)
	return s
}

// Killed at every named point in turn, with an Elasticsearch rollover between: every line and span is stored exactly
// once, in Elasticsearch and in the embedded store, and the counters equal the truth.
func TestKillAtEveryCrashPoint(t *testing.T) {
	es := elastic{testbed.Elasticsearch(t)}
	s := seed(t)
	run := strconv.FormatUint(s, 36)
	logs, traces := "logs-chaos."+run+"-default", "traces-chaos."+run+"-default"
	tree := newShelf(filepath.Join(t.TempDir(), "pods"), s)
	p := newPipeline(t, tree.root, fmt.Sprintf("  - name: local\n    store: {}\n  - name: es\n    elasticsearch: {urls: [%q], logs_data_stream: %s, traces_data_stream: %s}\nqueue: {max_bytes: 8MiB}\n", es.url, logs, traces))
	spans := &spanSender{url: "http://" + p.agentHTTP + "/v1/traces", r: rand.New(rand.NewPCG(s, 99))}
	l := startLoad(t, tree, spans)
	defer l.end()

	r := rand.New(rand.NewPCG(s, 7))
	agent, aggregator := p.startAgent(t, ""), p.startAggregator(t, "")
	eventually(t, "the first line in Elasticsearch", func() (bool, error) {
		n, err := es.count(logs)
		return n > 0, fmt.Errorf("%d lines, %w\n%s", n, err, aggregator.tail())
	})
	rollover := func() { es.do(t, http.MethodPost, "/"+logs+"/_rollover", "", nil) }
	for i := range max(len(agentPoints), len(aggregatorPoints)) {
		if i < len(aggregatorPoints) {
			aggregator.kill()
			between := func() {}
			if strings.HasPrefix(aggregatorPoints[i], "es.") {
				between = rollover // what was in flight meets another write index
			}
			aggregator = p.crash(t, p.startAggregator, p.aggregatorWeb, aggregatorPoints[i], 1+r.IntN(3), between)
		}
		if i < len(agentPoints) {
			agent.kill()
			agent = p.crash(t, p.startAgent, p.agentWeb, agentPoints[i], 1+r.IntN(3), func() {})
		}
	}
	l.end()
	eventually(t, "every line and span in Elasticsearch", func() (bool, error) {
		lines, err := es.count(logs)
		if err != nil {
			return false, err
		}
		stored, err := es.count(traces)
		return lines >= tree.written() && stored >= spans.sent, fmt.Errorf("%d of %d lines, %d of %d spans; %w\nagent: %s\naggregator: %s",
			lines, tree.written(), stored, spans.sent, err, agent.tail(), aggregator.tail())
	})
	p.checkTruth(t, es, logs, traces, tree, spans.sent)
	agent.stop(t)
	aggregator.stop(t)
}

// crash starts a process that is to kill itself the n-th time it comes by point, waits until it has, lets between happen,
// and starts it anew.
func (p *pipelineUnderTest) crash(t *testing.T, run func(testing.TB, string) *process, web, point string, n int, between func()) *process {
	t.Helper()
	begin := time.Now()
	doomed := run(t, fmt.Sprintf("%s:%d", point, n))
	select {
	case <-doomed.done:
	case <-time.After(deadline):
		t.Fatalf("never came by %s (%d times) in %v:\n%s", point, n, deadline, doomed.tail())
	}
	if doomed.err == nil || !strings.Contains(doomed.err.Error(), "killed") {
		t.Fatalf("%s: exited by itself: %v\n%s", point, doomed.err, doomed.tail())
	}
	t.Logf("killed at %s:%d after %.1f s", point, n, time.Since(begin).Seconds())
	between()
	again := run(t, "")
	again.waitReady(t, web)
	return again
}

// checkTruth compares both stores and the counters with what was written.
func (p *pipelineUnderTest) checkTruth(t *testing.T, es elastic, logs, traces string, tree *shelf, sent int) {
	t.Helper()
	got, ids := map[content]int{}, map[string]bool{}
	es.each(t, logs, `{"match_all":{}}`, func(d document) {
		ids[d.ID] = true
		var line struct {
			Message    string
			Log        struct{ Iostream string }
			Kubernetes struct{ Pod struct{ Name string } }
		}
		if err := json.Unmarshal(d.Source, &line); err != nil {
			t.Fatal(err)
		}
		got[contentOf(line.Kubernetes.Pod.Name, line.Log.Iostream, line.Message)]++
	})
	tree.compare(t, "Elasticsearch", got)
	if len(ids) != tree.written() {
		t.Errorf("Elasticsearch has %d distinct ids of %d lines", len(ids), tree.written())
	}
	if n, err := es.count(traces); n != sent {
		t.Errorf("Elasticsearch has %d of %d spans (%v)", n, sent, err)
	}
	p.checkStore(t, tree)
	page, err := get("http://" + p.aggregatorWeb + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if n := metric(page, "braid_log_records_total"); int(n) != tree.written() {
		t.Errorf("braid_log_records_total = %v, %d lines were written", n, tree.written())
	}
	if page, err = get("http://" + p.aggregatorWeb + "/metrics/spans"); err != nil {
		t.Fatal(err)
	}
	if n := metric(page, "traces_spanmetrics_calls_total"); int(n) != sent {
		t.Errorf("traces_spanmetrics_calls_total = %v, %d spans were sent", n, sent)
	}
}

// checkStore compares what the query API answers from the embedded store, once it has as many lines as were written.
func (p *pipelineUnderTest) checkStore(t *testing.T, tree *shelf) {
	t.Helper()
	var got map[content]int
	eventually(t, "every line in the store", func() (bool, error) {
		body, err := get("http://" + p.aggregatorWeb + "/api/v1/logs")
		if err != nil {
			return false, err
		}
		got = map[content]int{}
		n := 0
		for text := range strings.Lines(body) {
			var line struct{ Pod, Stream, Body, Error string }
			if err := json.Unmarshal([]byte(text), &line); err != nil || line.Error != "" {
				return false, fmt.Errorf("%w %s", err, line.Error)
			}
			got[contentOf(line.Pod, line.Stream, line.Body)]++
			n++
		}
		return n >= tree.written(), fmt.Errorf("%d of %d lines", n, tree.written())
	})
	tree.compare(t, "the store", got)
}
