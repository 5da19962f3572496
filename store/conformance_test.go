package store

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/telemetry/telemetrytest"
)

// A lender makes batches whose every byte it can overwrite once they have been given back.
type lender struct {
	lent    [][]byte
	builder labels.ScratchBuilder
}

func (l *lender) bytes(s string) []byte {
	b := []byte(s)
	l.lent = append(l.lent, b)
	return b
}

func (l *lender) string(s string) string {
	b := l.bytes(s)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// labels are lent by a builder, which overwrites them when it makes the next.
func (l *lender) labels(name, value string) (ls labels.Labels) {
	l.builder.Reset()
	l.builder.Add(name, value)
	l.builder.Overwrite(&ls)
	return ls
}

func (l *lender) scribble(b *telemetry.Batch) {
	for _, p := range l.lent {
		for i := range p {
			p[i] = '#'
		}
	}
	l.labels("trace_id", "###")
	for i := range b.Logs {
		b.Logs[i] = telemetry.Log{UnixNano: 1, Body: []byte("scribbled")}
	}
	for i := range b.Spans {
		b.Spans[i] = telemetry.Span{Name: "scribbled"}
	}
	for i := range b.Samples {
		if h := b.Samples[i].Histogram; h != nil {
			*h = histogram.Histogram{Sum: -1}
		}
		b.Samples[i] = telemetry.Sample{Value: -1}
	}
	*b = telemetry.Batch{}
}

func (l *lender) batch(now int64) *telemetry.Batch {
	attrs := []telemetry.Attr{{Key: l.string("key"), Value: telemetry.String(l.string("value"))}}
	return &telemetry.Batch{
		Resource: podResource("web", "app", 0), Tenant: l.string("tenant"), ReceivedUnixNano: now, FramePosition: 4,
		Scope: telemetry.Scope{Name: l.string("scope"), Attrs: attrs},
		Logs:  []telemetry.Log{{UnixNano: now, UID: telemetry.UID{1}, TraceID: telemetry.TraceID{1}, Body: l.bytes("body"), Attrs: attrs}},
		Spans: []telemetry.Span{{
			TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{1}, StartUnixNano: now, EndUnixNano: now,
			Name: l.string("span"), StatusMessage: l.string("message"), Attrs: attrs, Raw: l.bytes("raw"),
		}},
		Samples: []telemetry.Sample{
			{Series: newSeries("__name__", "m"), UnixMilli: now / 1e6, Value: 7, Exemplars: []exemplar.Exemplar{{
				Labels: l.labels("trace_id", "abc"), Value: 1, Ts: now / 1e6, HasTs: true,
			}}},
			{Series: newSeries("__name__", "h"), UnixMilli: now / 1e6, Histogram: &histogram.Histogram{
				Count: 1, Sum: 5, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{1},
			}},
		},
	}
}

// sameTimes gives a line the same event time whenever it is sent, as a sender that sends it again does; the suite makes
// it anew each time.
type sameTimes struct{ *Store }

func (s sameTimes) Write(ctx context.Context, batches []*telemetry.Batch) error {
	for _, b := range batches {
		for i := range b.Logs {
			b.Logs[i].UnixNano = base + b.Logs[i].Position
		}
	}
	return s.Store.Write(ctx, batches)
}

// TestSink runs the suite of all sinks; what fails is the disk, which is full.
func TestSink(t *testing.T) {
	telemetrytest.RunSink(t, func(t *testing.T) telemetrytest.Fixture {
		var full atomic.Bool
		s := openStore(t, Options{free: func() (uint64, error) {
			if full.Load() {
				return DefaultMinFree - 1, nil
			}
			return DefaultMinFree, nil
		}})
		return telemetrytest.Fixture{
			Sink: sameTimes{s}, Fail: full.Store,
			Stored: func(t *testing.T) []string { return bodies(t, s, telemetry.LogQuery{}) },
		}
	})
}

func TestFullDiskAsksToWait(t *testing.T) {
	s := openStore(t, Options{MinFree: 1 << 62})
	err := s.Write(t.Context(), []*telemetry.Batch{logBatch(podResource("web", "app", 0), 1, 1)})
	if _, wait := telemetry.RetryAfter(err); !wait || !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	mustWrite(t, s, &telemetry.Batch{})
}

// TestSinkKeepsNothingItWasLent overwrites what was lent after Write returned, while others write.
func TestSinkKeepsNothingItWasLent(t *testing.T) {
	s := openStore(t, Options{})
	now := time.Now().UnixNano()
	for range 3 {
		var l lender
		b := l.batch(now)
		mustWrite(t, s, b)
		l.scribble(b)
	}
	for _, reason := range []string{"duplicate_timestamp", "invalid"} {
		if n := testutil.ToFloat64(s.metrics.rejected.WithLabelValues("sample", reason)); n != 0 {
			t.Errorf("%v samples are %s: the TSDB compares with what it was lent", n, reason)
		}
	}
	trace, err := s.Trace(t.Context(), "tenant", telemetry.TraceID{1})
	if err != nil || trace == nil || len(trace.Spans) != 1 || len(trace.Logs) != 1 {
		t.Fatalf("%+v, %v", trace, err)
	}
	span, line := trace.Spans[0], trace.Logs[0]
	if span.Name != "span" || span.StatusMessage != "message" || string(span.Raw) != "raw" || span.Scope.Name != "scope" ||
		span.Attrs[0] != (telemetry.Attr{Key: "key", Value: telemetry.String("value")}) {
		t.Errorf("span %+v", span)
	}
	if string(line.Body) != "body" || line.Attrs[0].Value.Str != "value" {
		t.Errorf("line %+v", line)
	}
	if v := eval(t, s, "m", now/1e6).(promql.Vector); len(v) != 1 || v[0].F != 7 {
		t.Errorf("m is %v", v)
	}
	q, err := s.ExemplarQueryable().ExemplarQuerier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, err := q.Select(0, now/1e6, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "m")})
	if err != nil || len(found) != 1 || found[0].Exemplars[0].Labels.String() != `{trace_id="abc"}` {
		t.Errorf("exemplars %v, %v", found, err)
	}
	if v := eval(t, s, "histogram_sum(h)", now/1e6).(promql.Vector); len(v) != 1 || v[0].F != 5 {
		t.Errorf("h is %v", v)
	}
}

// TestSinkCancelled: a call whose context has ended writes nothing or all, and the same call later is as good as new.
func TestSinkCancelled(t *testing.T) {
	s := openStore(t, Options{})
	now := time.Now().UnixNano()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var l lender
	if err := s.Write(ctx, []*telemetry.Batch{l.batch(now)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := bodies(t, s, telemetry.LogQuery{Tenant: "tenant"}); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	mustWrite(t, s, l.batch(now))
	wantBodies(t, s, telemetry.LogQuery{Tenant: "tenant"}, "body")
	mustWrite(t, s)
	mustWrite(t, s, &telemetry.Batch{})
}
