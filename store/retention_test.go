package store

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/telemetry"
)

// TestRetentionCountsFromReceiveTime: an old line that came late stays, a line that came early goes, however new it is.
func TestRetentionCountsFromReceiveTime(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	hour := int64(time.Hour)
	early, late := logBatch(podResource("early", "app", 0), 1, 5000, 5001), logBatch(podResource("late", "app", 0), 2, -90000, 1)
	early.ReceivedUnixNano, late.ReceivedUnixNano = base, base+10*hour
	early.Logs[0].TraceID, late.Logs[0].TraceID = telemetry.TraceID{1}, telemetry.TraceID{1}
	spans := func(received int64, id byte) *telemetry.Batch {
		return &telemetry.Batch{Resource: podResource("spans", "app", int(id)), ReceivedUnixNano: received, Spans: []telemetry.Span{
			{TraceID: telemetry.TraceID{id}, SpanID: telemetry.SpanID{id}, StartUnixNano: base},
		}}
	}
	mustWrite(t, s, early, late, spans(base, 2), spans(base+10*hour, 3))
	if err := s.expire(base); err != nil {
		t.Fatal(err)
	}
	if n := len(bodies(t, s, telemetry.LogQuery{})); n != 4 {
		t.Fatalf("%d lines left before any has expired", n)
	}
	if err := s.expire(base + 5*hour); err != nil {
		t.Fatal(err)
	}
	for range 2 { // before and after a restart
		wantBodies(t, s, telemetry.LogQuery{}, "late/app/0 -90000", "late/app/0 1")
		trace, err := s.Trace(t.Context(), "", telemetry.TraceID{1})
		if err != nil || trace == nil || len(trace.Logs) != 1 {
			t.Fatalf("%v, %v", trace, err)
		}
		if trace, err := s.Trace(t.Context(), "", telemetry.TraceID{2}); trace != nil || err != nil {
			t.Errorf("%v, %v", trace, err)
		}
		if trace, err := s.Trace(t.Context(), "", telemetry.TraceID{3}); trace == nil || err != nil {
			t.Errorf("%v, %v", trace, err)
		}
		if n := len(s.streams.byID); n != 2 {
			t.Errorf("%d streams left, want 2", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, Options{Dir: dir})
	}
	mustWrite(t, s, early) // what expired can come again
	if n := len(bodies(t, s, telemetry.LogQuery{Pods: []string{"early"}})); n != 2 {
		t.Errorf("%d lines of a stream that came back", n)
	}
}

// TestRetentionLeavesNothingBehind expires more than one batch of everything and looks at what keys are left.
func TestRetentionLeavesNothingBehind(t *testing.T) {
	s := openStore(t, Options{})
	for frame := range uint64(25) {
		b := logBatch(podResource("web", "app", 0), frame+1, make([]int, 101)...)
		for i := range b.Logs {
			b.Logs[i].TraceID = telemetry.TraceID{1}
		}
		spans := spanBatch("cart", int64(frame), 101)
		spans.ReceivedUnixNano = b.ReceivedUnixNano
		mustWrite(t, s, b, spans)
	}
	if err := s.expire(base + int64(100*time.Hour)); err != nil {
		t.Fatal(err)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if it.Key()[0] != metaPrefix {
			t.Fatalf("key %q is left", it.Key())
		}
	}
	if n := testutil.ToFloat64(s.metrics.expired.WithLabelValues("logs")); n != 25*101 {
		t.Errorf("%v lines expired", n)
	}
}
