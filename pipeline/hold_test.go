package pipeline

import (
	"testing"
	"time"

	"github.com/braidhq/braid/disk"
)

func TestHeldFramesAreReplayed(t *testing.T) {
	fsys := disk.NewMem()
	now := time.Unix(1e6, 0)
	hold := CursorOptions{Hold: 10 * time.Second}
	q := open(t, fsys, clock(&now), segments(300))
	c := cursor(t, q, "c", hold)
	for _, body := range numbered(0, 40) { // one a second
		add(t, q, body)
		now = now.Add(time.Second)
	}
	if got := len(drain(t, c)); got != 40 {
		t.Fatalf("read %d", got)
	}
	commit(t, c, "")
	add(t, q, "new-1")
	q.Close()
	if n := len(files(t, fsys, "q/logs", segmentSuffix)); n < 4 || n > 10 {
		t.Errorf("%d segments are held", n)
	}

	q = open(t, fsys, clock(&now), segments(300))
	c = cursor(t, q, "c", hold)
	if frames, _ := c.Lag(); frames != 1 {
		t.Errorf("lag is %d frames", frames)
	}
	got := drain(t, c)
	if len(got) != 12 || string(got[0].Body) != "body-0029" || string(got[11].Body) != "new-1" {
		t.Fatalf("got %s", bodies(got))
	}
	for i, f := range got {
		if c.Replayed(f.Position) != (i < 11) {
			t.Errorf("frame %d, %s: replayed is %v", i, f.Body, c.Replayed(f.Position))
		}
	}
	commit(t, c, "")
	if frames, _ := c.Lag(); frames != 0 {
		t.Errorf("lag is %d frames", frames)
	}
	c.Close()
	// Without Hold it goes on where it was.
	add(t, q, "new-2")
	if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{}))); got != "new-2" {
		t.Errorf("got %q", got)
	}
}

func TestACommitDuringTheReplayDoesNotGoBack(t *testing.T) {
	fsys := disk.NewMem()
	hold := CursorOptions{Hold: time.Hour}
	q := open(t, fsys)
	c := cursor(t, q, "c", hold)
	add(t, q, "a", "b", "c")
	drain(t, c)
	commit(t, c, "")
	q.Close()
	q = open(t, fsys)
	c = cursor(t, q, "c", hold)
	if got, err := c.poll(1, 1); err != nil || bodies(got) != "a" {
		t.Fatal(bodies(got), err)
	}
	commit(t, c, "state")
	q.Close()
	q = open(t, fsys)
	c = cursor(t, q, "c", CursorOptions{})
	if got, state := drain(t, c), string(c.State()); len(got) != 0 || state != "state" {
		t.Errorf("got %q with state %q", bodies(got), state)
	}
}
