package correlate

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
	"github.com/braidhq/braid/wire/remotewrite"
)

const (
	testWait = 10 * time.Second
	testLate = 60 * time.Second
)

// An event is a batch that is received at some time after the beginning.
type event struct {
	at time.Duration
	b  *telemetry.Batch
}

// frame encodes e without compression: the zstd encoders that all share cannot be shared by bubbles.
func (e *event) frame() telemetry.Frame {
	switch {
	case len(e.b.Spans) > 0:
		return telemetry.Frame{Signal: telemetry.Spans, Encoding: telemetry.OTLP, Body: otlp.AppendSpans(nil, []*telemetry.Batch{e.b})}
	case len(e.b.Logs) > 0:
		return telemetry.Frame{Signal: telemetry.Logs, Encoding: telemetry.OTLP, Body: otlp.AppendLogs(nil, []*telemetry.Batch{e.b})}
	}
	var encoder remotewrite.Encoder
	return telemetry.Frame{Signal: telemetry.Samples, Encoding: telemetry.RemoteWrite2, Body: encoder.AppendV2(nil, e.b.Samples)}
}

// generate makes traces of ten services with spans out of order, late ones, ids used again, lines before, during and after
// their spans, exemplars, and spans that are malformed.
func generate(rnd *rand.Rand, traces int) (events []event) {
	resources := make([]*telemetry.Resource, 10)
	for i := range resources {
		resources[i] = &telemetry.Resource{Service: fmt.Sprintf("service-%d", i), Namespace: "shop"}
	}
	serial := uint64(0)
	for n := range traces {
		begin := 90*time.Second + time.Duration(rnd.IntN(200_000))*time.Millisecond
		id := traceID(n)
		starts := []time.Duration{begin}
		if rnd.IntN(8) == 0 { // used again, near the end of the first
			starts = append(starts, begin+testWait+testLate+time.Duration(rnd.IntN(30_000)-5000)*time.Millisecond)
		}
		for _, begin := range starts {
			for range 1 + rnd.IntN(6) {
				after := time.Duration(rnd.IntN(4000)) * time.Millisecond
				if rnd.IntN(10) == 0 {
					after = time.Duration(rnd.IntN(70_000)) * time.Millisecond
				}
				serial++
				events = append(events, event{begin + after, randomSpans(rnd, resources[rnd.IntN(10)], id, serial)})
			}
			if rnd.IntN(3) == 0 {
				b := &telemetry.Batch{Resource: resources[rnd.IntN(10)]}
				severity := telemetry.SeverityInfo
				if rnd.IntN(5) == 0 {
					severity = telemetry.SeverityError
				}
				serial++
				b.Logs = []telemetry.Log{{TraceID: id, Severity: severity, Body: binary.BigEndian.AppendUint64(nil, serial)}}
				events = append(events, event{begin + time.Duration(rnd.IntN(100_000)-70_000)*time.Millisecond, b})
			}
			if rnd.IntN(30) == 0 {
				s := telemetry.Sample{Series: &telemetry.Series{Labels: labels.FromStrings("__name__", "x")}, UnixMilli: int64(serial)}
				s.Exemplars = []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", id.String()), Value: 1, Ts: 1, HasTs: true}}
				events = append(events, event{begin + time.Duration(rnd.IntN(20_000)-8000)*time.Millisecond, &telemetry.Batch{Samples: []telemetry.Sample{s}}})
			}
		}
	}
	for i := range events {
		events[i].at = max(0, events[i].at)
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(a.at - b.at) })
	return events
}

func randomSpans(rnd *rand.Rand, r *telemetry.Resource, id telemetry.TraceID, serial uint64) *telemetry.Batch {
	b := &telemetry.Batch{Resource: r}
	for i := range 1 + rnd.IntN(4) {
		s := telemetry.Span{TraceID: id, Name: fmt.Sprintf("op-%d", rnd.IntN(3)), StartUnixNano: 1e18 + rnd.Int64N(1e9)}
		binary.BigEndian.PutUint64(s.SpanID[:], serial<<8+uint64(i)+1)
		s.EndUnixNano = s.StartUnixNano + int64(rnd.ExpFloat64()*1e8)
		switch rnd.IntN(150) {
		case 0, 1, 2:
			s.Status = telemetry.StatusError
		case 3:
			s.TraceID = telemetry.TraceID{}
		case 4:
			s.SpanID = telemetry.SpanID{}
		case 5:
			s.StartUnixNano, s.EndUnixNano = s.EndUnixNano, s.StartUnixNano
		case 6:
			s.Attrs = []telemetry.Attr{{Key: "route", Value: telemetry.String("/pay")}}
		}
		b.Spans = append(b.Spans, s)
	}
	return b
}

func samplingRules(t testing.TB) *Rules {
	return rules(t,
		Rule{Name: "error", Kind: RuleError}, Rule{Name: "line", Kind: RuleErrorLine}, Rule{Name: "exemplar", Kind: RuleExemplar},
		Rule{Name: "slow", Kind: RuleSlow, Above: 600 * time.Millisecond}, Rule{Name: "p99", Kind: RuleSlow, Quantile: 0.99},
		Rule{Kind: RuleAll, Rules: []Rule{
			{Name: "share", Kind: RuleShare, Traces: 1, Per: 20 * time.Second}, {Name: "half", Kind: RuleShare, Probability: 0.5}}},
		Rule{Name: "route", Kind: RuleAttribute, Key: "route", Values: []string{"/pay"}})
}

// A plant is everything from the queue to the verdict log.
type plant struct {
	t        testing.TB
	queue    *pipeline.Queue
	verdicts *Verdicts
	decider  *Decider
	decide   *pipeline.Delivery
	cancel   context.CancelFunc
	wait     sync.WaitGroup
}

func build(t testing.TB, fsys disk.FS, gates bool) *plant {
	q, err := pipeline.Open(pipeline.Options{Dir: "q", FS: fsys, SegmentBytes: 8000})
	if err != nil {
		t.Fatal(err)
	}
	p := &plant{t: t, queue: q, verdicts: verdictLog(t, fsys, 16)}
	var watermarks []func() int64
	index := NewIndex(IndexOptions{Rules: samplingRules(t), Wait: testWait, Late: testLate, Watermarks: []func() int64{
		func() int64 { return p.decide.Watermark() },
	}})
	p.decider = NewDecider(DeciderOptions{Index: index, Verdicts: p.verdicts})
	cursor := func(s telemetry.Signal, name string, o pipeline.CursorOptions) *pipeline.Cursor {
		c, err := q.Cursor(s, name, o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	p.decide = &pipeline.Delivery{
		Cursor: cursor(telemetry.Spans, "decide", pipeline.CursorOptions{Hold: p.decider.Hold()}),
		Sink:   p.decider, Observers: []pipeline.Observer{p.decider},
	}
	all := []*pipeline.Delivery{p.decide}
	for _, s := range telemetry.Signals {
		d := &pipeline.Delivery{
			Cursor:    cursor(s, "observe", pipeline.CursorOptions{Hold: index.Hold(), HoldFor: []*pipeline.Cursor{p.decide.Cursor}}),
			Observers: []pipeline.Observer{index},
		}
		watermarks = append(watermarks, d.Watermark)
		all = append(all, d)
	}
	if gates {
		p.decide.Gate = pipeline.Behind(testWait, watermarks...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	for _, d := range all {
		p.wait.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return p
}

func (p *plant) stop() {
	p.cancel()
	p.wait.Wait()
	p.queue.Close()
	p.verdicts.Close()
}

// A crasher clones the disk as a crash leaves it, some operations after it was armed.
type crasher struct {
	mu        sync.Mutex
	rnd       *rand.Rand
	countdown int
	left      *disk.Mem
}

func (c *crasher) arm(fsys *disk.Mem) {
	c.mu.Lock()
	c.countdown, c.left = 1+c.rnd.IntN(120), nil
	c.mu.Unlock()
	fsys.FailOn(func(string, string) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.countdown--; c.countdown == 0 {
			if c.left = fsys.CrashClone(c.rnd.Uint64()); c.rnd.IntN(2) == 0 {
				c.left = fsys.KillClone()
			}
		}
		return nil
	})
}

func (c *crasher) crashed() *disk.Mem {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

// receive appends events at their times, with crashes after some of them, and returns the disk and what was counted.
func receive(t *testing.T, fsys *disk.Mem, events []event, crashes []int, rnd *rand.Rand) (*disk.Mem, DeciderCounts) {
	begin := time.Now()
	crash := &crasher{rnd: rnd}
	p := build(t, fsys, true)
	restart := func() bool {
		left := crash.crashed()
		if left == nil {
			return false
		}
		fsys.FailOn(nil)
		p.stop()
		fsys, crash.left = left, nil
		p = build(t, fsys, true)
		return true
	}
	for i, e := range events {
		<-time.After(time.Until(begin.Add(e.at)))
		restart()
		if slices.Contains(crashes, i) {
			crash.arm(fsys)
		}
		for again := true; again; again = restart() { // a repeat that the queue has already is known by its bytes
			if err := p.queue.Append(t.Context(), []telemetry.Frame{e.frame()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 60 {
		<-time.After(time.Second)
		restart()
	}
	synctest.Wait()
	counts := p.decider.Counts()
	if w := p.decide.Watermark(); w < begin.Add(events[len(events)-1].at).UnixNano() {
		t.Errorf("the decider has not come to the end: %d", w)
	}
	p.stop()
	return fsys, counts
}

// truth is which traces must be kept, computed from all events at once: each with its t.
func truth(events []event, begin time.Time) (must map[Verdict]bool, traces int) {
	must = map[Verdict]bool{}
	began := map[telemetry.TraceID][]time.Duration{}
	for _, e := range events {
		for i := range e.b.Spans {
			id := e.b.Spans[i].TraceID
			if ts := began[id]; !id.IsZero() && (len(ts) == 0 || e.at-ts[len(ts)-1] > testWait+testLate) {
				began[id] = append(ts, e.at)
				traces++
			}
		}
	}
	keep := func(id telemetry.TraceID, at, before time.Duration) {
		for _, t := range began[id] {
			if at >= t-before && at < t+testWait {
				must[Verdict{Trace: id, ReceivedUnixNano: begin.Add(t).UnixNano()}] = true
			}
		}
	}
	for _, e := range events {
		for _, s := range e.b.Spans {
			if s.Status == telemetry.StatusError {
				keep(s.TraceID, e.at, 0)
			}
		}
		for _, l := range e.b.Logs {
			if l.Severity >= telemetry.SeverityError {
				keep(l.TraceID, e.at, testLate)
			}
		}
		for _, s := range e.b.Samples {
			if id, ok := ParseTraceID(s.Exemplars[0].Labels.Get("trace_id")); ok {
				keep(id, e.at, testLate)
			}
		}
	}
	return must, traces
}

// TestTheSameLogIsDecidedAlikeOverCrashes: three crashes, each in the middle of some operation of the disk, leave the verdict
// log as it is without them, byte for byte, and all counters. The verdicts are also what the events call for.
func TestTheSameLogIsDecidedAlikeOverCrashes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for round := range uint64(10) {
		seed := seed + round
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 0))
		events := generate(rnd, 300)
		var want []byte
		var counts DeciderCounts
		synctest.Test(t, func(t *testing.T) { // bubbles begin at the same time
			must, traces := truth(events, time.Now())
			var fsys *disk.Mem
			fsys, counts = receive(t, disk.NewMem(), events, nil, rnd)
			want = logBytes(t, fsys)
			checkVerdicts(t, fsys, must)
			if int(counts.Traces) != traces || counts.Kept == 0 || counts.Kept > counts.Traces*9/10 || counts.NoTraceID == 0 ||
				counts.NoSpanID == 0 || counts.EndBeforeStart == 0 || counts.ReusedTraceIDs == 0 || counts.LateSpans == 0 {
				t.Errorf("of %d traces: %+v", traces, counts)
			}
		})
		crashes := []int{rnd.IntN(len(events)), rnd.IntN(len(events)), rnd.IntN(len(events))}
		synctest.Test(t, func(t *testing.T) {
			fsys, got := receive(t, disk.NewMem(), events, crashes, rnd)
			if !reflect.DeepEqual(got, counts) {
				t.Errorf("crashes after %v: the counts are\n%+v, not\n%+v", crashes, got, counts)
			}
			if got := logBytes(t, fsys); !bytes.Equal(got, want) {
				t.Errorf("crashes after %v: the verdict log has other bytes, %d instead of %d", crashes, len(got), len(want))
			}
		})
	}
}

func checkVerdicts(t *testing.T, fsys disk.FS, must map[Verdict]bool) {
	v := verdictLog(t, fsys, 16)
	all := map[Verdict]bool{}
	for _, s := range v.segments {
		for id, at := range s.traces {
			all[Verdict{Trace: id, ReceivedUnixNano: at}] = true
			for _, at := range s.again[id] {
				all[Verdict{Trace: id, ReceivedUnixNano: at}] = true
			}
		}
	}
	for k := range must {
		if !all[k] {
			t.Errorf("trace %s of %d is not kept", k.Trace, k.ReceivedUnixNano)
		}
	}
	if math.Abs(float64(len(all))-float64(v.Length())) > 0 {
		t.Errorf("%d verdicts, %d in the log", len(all), v.Length())
	}
}
