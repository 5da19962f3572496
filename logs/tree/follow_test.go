package tree

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A watcher follows the newest attempt of a node's container.
type watcher struct {
	t      testing.TB
	lines  chan string
	done   chan error
	cancel context.CancelFunc
}

func follow(n *node, q Query) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{t: n.t, lines: make(chan string, 100), done: make(chan error, 1), cancel: cancel}
	c := n.container()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.done <- c.Follow(ctx, c.Newest(), q, time.Millisecond, func(r *telemetry.LogRecord) error {
			w.lines <- body(r)
			return nil
		})
	}()
	n.t.Cleanup(func() { cancel(); <-ended })
	return w
}

// expect waits for these lines, and no others before them.
func (w *watcher) expect(lines ...string) {
	w.t.Helper()
	for _, want := range lines {
		select {
		case got := <-w.lines:
			if got != want {
				w.t.Fatalf("line %q, want %q", got, want)
			}
		case err := <-w.done:
			w.t.Fatalf("ended with %v before %q", err, want)
		case <-time.After(deadline):
			w.t.Fatalf("no line %q within %v", want, deadline)
		}
	}
}

func (w *watcher) end() error {
	w.t.Helper()
	select {
	case err := <-w.done:
		return err
	case <-time.After(deadline):
		w.t.Fatalf("does not end within %v", deadline)
	}
	return nil
}

func TestFollowNewLines(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "one", "two", "P th")
	w := follow(n, Query{Tail: 1})
	w.expect("two")
	n.write("0.log", "ree", "four")
	w.expect("three", "four")
	w.cancel()
	if err := w.end(); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestFollowFromAnEmptyFile(t *testing.T) {
	n := newNode(t)
	n.must(os.WriteFile(n.path("0.log"), nil, 0o640))
	w := follow(n, Query{Tail: All})
	n.write("0.log", "one")
	w.expect("one")
	n.rotate("0.log", "1")
	n.write("0.log", "two")
	w.expect("two")
}

func TestFollowOverRotations(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "zero")
	n.rotate("0.log", "0")
	n.compress("0.log.0")
	n.write("0.log", "one")
	w := follow(n, Query{Tail: 1})
	w.expect("one")
	n.write("0.log", "two", "P th")
	n.rotate("0.log", "1")
	n.write("0.log", "ree", "four")
	w.expect("two", "three", "four")
	// Two rotations at once: the file between was never the live one while somebody looked.
	n.write("0.log", "five")
	n.rotate("0.log", "2")
	n.compress("0.log.1")
	n.write("0.log", "six")
	n.rotate("0.log", "3")
	n.compress("0.log.2")
	n.write("0.log", "seven")
	w.expect("five", "six", "seven")
	n.write("0.log", "eight")
	w.expect("eight")
}

func TestFollowReadsWhatTheWriterStillWritesToTheRenamedFile(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "one")
	w := follow(n, Query{Tail: All})
	w.expect("one")
	n.must(os.Rename(n.path("0.log"), n.path("0.log.1")))
	n.write("0.log.1", "two")
	n.write("0.log", "three")
	w.expect("two", "three")
}

func TestFollowIntoTheNextAttempts(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "one", "P last words")
	w := follow(n, Query{Tail: 0})
	n.must(os.WriteFile(n.path("1.log"), nil, 0o640))
	w.expect("last words…")
	n.write("1.log", "two")
	w.expect("two")
	n.must(os.Remove(n.path("0.log")))
	n.write("2.log", "three")
	n.must(os.Remove(n.path("1.log")))
	n.write("3.log", "four")
	w.expect("three", "four")
}

func TestFollowEndsWithThePod(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "one", "P last words")
	w := follow(n, Query{Tail: All})
	w.expect("one")
	n.must(os.RemoveAll(filepath.Dir(n.dir)))
	w.expect("last words…")
	if err := w.end(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestFollowEndsWithYieldsError(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "one")
	stop := errors.New("enough")
	c := n.container()
	err := c.Follow(context.Background(), c.Newest(), Query{Tail: All}, time.Millisecond, func(*telemetry.LogRecord) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("ended with %v", err)
	}
}
