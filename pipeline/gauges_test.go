package pipeline

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
)

// What a cursor has read and not committed has an age; what it has committed, or read in a replay, has none.
func TestTheLagHasAnAge(t *testing.T) {
	fsys, now, r := disk.NewMem(), time.Unix(1000, 0), prometheus.NewPedanticRegistry()
	q := open(t, fsys, clock(&now), lanes(5000), func(o *Options) { o.Registerer = r })
	hold := CursorOptions{Hold: time.Hour}
	c := cursor(t, q, "c", hold)
	expect := func(want float64) {
		t.Helper()
		if got := metric(t, r, "braid_pipeline_lag_seconds", "c", ""); got != want {
			t.Errorf("the lag is %v s, want %v", got, want)
		}
	}
	expect(0)
	add(t, q, "a")
	now = now.Add(5 * time.Second)
	add(t, q, "b")
	now = now.Add(2 * time.Second)
	drain(t, c)
	expect(7)
	first := bookmark{position: frameHead + 2, ordinal: 1, stamp: time.Unix(1000, 0).UnixNano()}
	if err := c.commit(first, nil); err != nil { // a round of which the second frame still waits
		t.Fatal(err)
	}
	expect(7)
	commit(t, c, "")
	expect(0)
	add(t, q, "c")
	now = now.Add(3 * time.Second)
	drain(t, c)
	expect(3)
	commit(t, c, "")
	if got := metric(t, r, "braid_pipeline_lane_limit_bytes", "", ""); got != 5000 {
		t.Errorf("the lane may take %v bytes", got)
	}
	q.Close()

	r = prometheus.NewPedanticRegistry()
	q = open(t, fsys, clock(&now), func(o *Options) { o.Registerer = r })
	c = cursor(t, q, "c", hold)
	if got := bodies(drain(t, c)); got != "a b c" {
		t.Fatalf("replayed %q", got)
	}
	expect(0)
}
