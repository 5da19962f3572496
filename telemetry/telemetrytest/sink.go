package telemetrytest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A Fixture is one sink under test, empty and in order.
type Fixture struct {
	Sink telemetry.Sink
	// Stored returns the bodies of the log lines that the sink has made safe, in any order, repeats included.
	Stored func(t *testing.T) []string
	// Fail breaks what the sink stands on (its disk, its peer), or mends it.
	Fail func(broken bool)
}

// patience bounds what must not hang.
const patience = 30 * time.Second

// RunSink tests what the comment of telemetry.Sink promises. open makes a new fixture for each part.
func RunSink(t *testing.T, open func(t *testing.T) Fixture) {
	parts := []struct {
		name string
		run  func(*testing.T, Fixture)
	}{
		{"takes what it is given", takes},
		{"takes nothing", takesNothing},
		{"retains no batch", retainsNothing},
		{"takes from many at once", takesConcurrently},
		{"ends with its context", ends},
		{"fails and recovers", recovers},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, open(t)) })
	}
}

// Lines returns a batch of n lines of one file with the bodies "file/0", "file/1" ….
func Lines(file byte, n int) *telemetry.Batch {
	b := &telemetry.Batch{
		Resource: &telemetry.Resource{Cluster: "c", Namespace: "ns", Pod: "pod", Container: "main", Service: "svc"},
		FileID:   telemetry.FileID{'t', file}, To: int64(10 * n),
	}
	for i := range n {
		position := int64(10 * (i + 1))
		b.Logs = append(b.Logs, telemetry.Log{
			UnixNano: time.Now().UnixNano(), Severity: telemetry.SeverityInfo, Stream: telemetry.Stdout,
			Position: position, UID: telemetry.FileUID(b.FileID, position), Body: fmt.Appendf(nil, "%d/%d", file, i),
			Attrs: []telemetry.Attr{{Key: "k", Value: telemetry.String("v")}},
		})
	}
	return b
}

// bodies returns what Lines wrote for these files.
func bodies(n int, files ...byte) (all []string) {
	for _, file := range files {
		for i := range n {
			all = append(all, fmt.Sprintf("%d/%d", file, i))
		}
	}
	slices.Sort(all)
	return all
}

func wantStored(t *testing.T, f Fixture, want []string) {
	t.Helper()
	got := slices.Sorted(slices.Values(f.Stored(t)))
	if !slices.Equal(got, want) {
		t.Errorf("stored are %q, not %q", got, want)
	}
}

func takes(t *testing.T, f Fixture) {
	if err := f.Sink.Write(t.Context(), []*telemetry.Batch{Lines(1, 3), Lines(2, 3)}); err != nil {
		t.Fatal(err)
	}
	wantStored(t, f, bodies(3, 1, 2))
}

func takesNothing(t *testing.T, f Fixture) {
	for _, batches := range [][]*telemetry.Batch{nil, {}, {{}}, {{Resource: &telemetry.Resource{Pod: "p"}}}} {
		if err := f.Sink.Write(t.Context(), batches); err != nil {
			t.Errorf("%d batches without a record: %v", len(batches), err)
		}
	}
	wantStored(t, f, nil)
}

// retainsNothing lends a batch and uses its memory for something else as soon as it has it back.
func retainsNothing(t *testing.T, f Fixture) {
	for file := range byte(5) {
		b := Lines(file+1, 4)
		batches := []*telemetry.Batch{b}
		if err := f.Sink.Write(t.Context(), batches); err != nil {
			t.Fatal(err)
		}
		for i := range b.Logs {
			body := b.Logs[i].Body[:cap(b.Logs[i].Body)]
			for j := range body {
				body[j] = '#'
			}
			b.Logs[i].Attrs[0] = telemetry.Attr{Key: "#"}
			b.Logs[i] = telemetry.Log{Body: []byte("scribble"), UID: telemetry.UID{1}}
		}
		b.FileID, batches[0] = telemetry.FileID{}, nil
	}
	wantStored(t, f, bodies(4, 1, 2, 3, 4, 5))
}

func takesConcurrently(t *testing.T, f Fixture) {
	var wait sync.WaitGroup
	for file := range byte(4) {
		wait.Go(func() {
			if err := f.Sink.Write(t.Context(), []*telemetry.Batch{Lines(file+1, 5)}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	wantStored(t, f, bodies(5, 1, 2, 3, 4))
}

// write calls Write and ends its context if it has not returned after a moment; it must return then.
func write(t *testing.T, f Fixture, b *telemetry.Batch) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f.Sink.Write(ctx, []*telemetry.Batch{b}) }()
	select {
	case err := <-done:
		return err
	case <-time.After(100 * time.Millisecond):
	}
	cancel()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("Write goes on although its context has ended")
		return nil
	}
}

func ends(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := f.Sink.Write(ctx, []*telemetry.Batch{Lines(1, 2)})
	if telemetry.IsPermanent(err) {
		t.Errorf("an ended context is no permanent error: %v", err)
	}
	if err == nil {
		wantStored(t, f, bodies(2, 1))
	}
	if err := f.Sink.Write(t.Context(), []*telemetry.Batch{Lines(1, 2)}); err != nil {
		t.Fatal(err)
	}
	wantStored(t, f, bodies(2, 1))
}

func recovers(t *testing.T, f Fixture) {
	if err := f.Sink.Write(t.Context(), []*telemetry.Batch{Lines(1, 3)}); err != nil {
		t.Fatal(err)
	}
	f.Fail(true)
	for range 3 {
		err := write(t, f, Lines(2, 3))
		if err == nil {
			t.Fatal("Write says that the lines are safe while nothing works")
		}
		if telemetry.IsPermanent(err) {
			t.Fatalf("an outage is no permanent error: %v", err)
		}
	}
	f.Fail(false)
	for range 2 { // the caller sends again until it hears nil, and may not have heard it
		if err := f.Sink.Write(t.Context(), []*telemetry.Batch{Lines(2, 3)}); err != nil {
			t.Fatal(err)
		}
	}
	wantStored(t, f, bodies(3, 1, 2))
}
