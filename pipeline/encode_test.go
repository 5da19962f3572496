package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/telemetry/telemetrytest"
)

func TestEncodeIsASink(t *testing.T) {
	telemetrytest.RunSink(t, func(t *testing.T) telemetrytest.Fixture {
		fsys := disk.NewMem()
		q := open(t, fsys)
		var broken atomic.Bool
		fsys.FailOn(func(op, name string) error {
			if broken.Load() && strings.HasSuffix(name, segmentSuffix) {
				return syscall.EIO
			}
			return nil
		})
		return telemetrytest.Fixture{
			Sink: Encode(q),
			Fail: broken.Store,
			Stored: func(t *testing.T) []string {
				sink := &storing{}
				c := cursor(t, q, "look", CursorOptions{})
				deliver(t, &Delivery{Cursor: c, Sink: sink})
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				if err := q.Forget(telemetry.Logs, "look"); err != nil {
					t.Fatal(err)
				}
				return sink.order
			},
		}
	})
}

func TestEncodeMakesOneFrameASignal(t *testing.T) {
	q := open(t, disk.NewMem())
	series := &telemetry.Series{Labels: labels.FromStrings("__name__", "up")}
	batches := []*telemetry.Batch{
		plainLines("a"),
		{Resource: &telemetry.Resource{}, Spans: []telemetry.Span{{TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{2}, Name: "s"}}},
		{Samples: []telemetry.Sample{{Series: series, UnixMilli: 5, Value: 1}}},
		{Samples: []telemetry.Sample{{Series: series, UnixMilli: 6, Value: 2}}},
		plainLines("b"),
	}
	if err := Encode(q).Write(t.Context(), batches); err != nil {
		t.Fatal(err)
	}
	records := map[telemetry.Signal]int{}
	for _, s := range telemetry.Signals {
		c, err := q.Cursor(s, "c", CursorOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if frames, _ := c.Lag(); frames != 1 {
			t.Errorf("%d frames of %s", frames, s)
		}
		deliver(t, &Delivery{Cursor: c, Sink: sinkFunc(func(batches []*telemetry.Batch) error {
			for _, b := range batches {
				records[s] += b.Len()
				for _, sample := range b.Samples {
					if sample.Series.Labels.Get("__name__") != "up" || sample.Value+4 != float64(sample.UnixMilli) {
						t.Errorf("got the sample %+v", sample)
					}
				}
				for _, span := range b.Spans {
					if span.Name != "s" || span.UID != telemetry.QueueUID(q.ID(), 0, 0) {
						t.Errorf("got the span %+v", span)
					}
				}
			}
			return nil
		})})
	}
	if records[telemetry.Logs] != 2 || records[telemetry.Spans] != 1 || records[telemetry.Samples] != 2 {
		t.Errorf("got %v records", records)
	}
}

func TestEncodeKeepsTenantsApart(t *testing.T) {
	of := func(tenant, text string, received int64) *telemetry.Batch {
		b := plainLines(text)
		b.Tenant, b.ReceivedUnixNano = tenant, received
		return b
	}
	var got []string
	next := appenderFunc(func(frames []telemetry.Frame) error {
		for _, f := range frames {
			d := &decoder{}
			batches, _, err := d.decode(&f, telemetry.QueueID{}, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batches {
				for _, l := range b.Logs {
					got = append(got, fmt.Sprintf("%s %s %d", f.Tenant, l.Body, f.ReceivedUnixNano))
				}
			}
		}
		return nil
	})
	if err := Encode(next).Write(t.Context(), []*telemetry.Batch{of("a", "1", 5), of("a", "2", 7), of("b", "3", 6), of("", "4", 8)}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a 1 7", "a 2 7", "b 3 6", " 4 8"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type appenderFunc func([]telemetry.Frame) error

func (f appenderFunc) Append(_ context.Context, frames []telemetry.Frame) error { return f(frames) }

type sinkFunc func([]*telemetry.Batch) error

func (f sinkFunc) Write(_ context.Context, batches []*telemetry.Batch) error { return f(batches) }
