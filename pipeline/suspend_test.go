package pipeline

import (
	"testing"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// While not all have come back nothing goes, not even from a full lane, whose senders wait; then each cursor goes on.
func TestWhileSuspendedNothingGoes(t *testing.T) {
	q := open(t, disk.NewMem(), segments(1000), func(o *Options) { o.MaxBytes = map[telemetry.Signal]int64{telemetry.Logs: 8000} })
	c := cursor(t, q, "c", CursorOptions{})
	bodies := numbered(0, 1000)
	added := 0
	fill := func() {
		for added < len(bodies) {
			if err := q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, bodies[added])}); err != nil {
				if _, later := telemetry.RetryAfter(err); !later {
					t.Fatal(err)
				}
				return
			}
			added++
		}
		t.Fatal("the lane does not fill up")
	}
	fill()
	quick := cursor(t, q, "quick", CursorOptions{})
	drain(t, quick)
	commit(t, quick, "")
	first, err := c.Next(t.Context(), 1)
	if err != nil || len(first) != 1 {
		t.Fatal(len(first), err)
	}
	commit(t, c, "")
	if err := q.Suspend(); err != nil {
		t.Fatal(err)
	}
	quick = cursor(t, q, "quick", CursorOptions{}) // which alone would let everything go
	before := added
	fill()
	if added != before {
		t.Errorf("%d frames were taken into a full lane", added-before)
	}
	c = cursor(t, q, "c", CursorOptions{})
	q.Resume()
	got := drain(t, c)
	if len(got) != added-1 || string(got[0].Body) != bodies[1] {
		t.Errorf("%d frames are left of %d", len(got), added-1)
	}
	commit(t, c, "")
	commit(t, quick, "")
	fill()
	if added == before {
		t.Error("nothing goes after Resume")
	}
}
