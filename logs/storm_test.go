package logs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/logs/logstest"
)

// mortalFS is a file system as a process sees it that kill -9 ends: what was written stays, nothing more is written.
type mortalFS struct {
	disk.FS
	dead atomic.Bool
}

var errDead = errors.New("the process is dead")

func (m *mortalFS) Create(name string) (disk.File, error) {
	if m.dead.Load() {
		return nil, errDead
	}
	return m.FS.Create(name)
}

func (m *mortalFS) Rename(from, to string) error {
	if m.dead.Load() {
		return errDead
	}
	return m.FS.Rename(from, to)
}

// dedup keeps the first of each position, as a store does, and fails if two of them differ.
func dedup(t *testing.T, lines []line) map[position]line {
	t.Helper()
	got := make(map[position]line, len(lines))
	for _, l := range lines {
		p := position{l.file, l.stream, l.position}
		if old, ok := got[p]; ok && (old.body != l.body || old.unixNano != l.unixNano) {
			t.Fatalf("position %+v came with two bodies: %.60q and %.60q", p, old.body, l.body)
		}
		got[p] = l
	}
	return got
}

// Whatever dies whenever, after deduplication by position exactly the written lines are there.
func TestStorm(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { storm(t, seed, 6) })
	}
}

func storm(t *testing.T, seed uint64, rounds int) {
	rng := rand.New(rand.NewPCG(seed, 2))
	dir := t.TempDir()
	node, err := logstest.NewNode(filepath.Join(dir, "pods"), logstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wind, err := logstest.NewStorm(node, seed, 4)
	if err != nil {
		t.Fatal(err)
	}
	sink := newRecorder()
	failures := rand.New(rand.NewPCG(seed, 3))
	refuse := func(why string) func(int) error {
		return func(int) error {
			if failures.IntN(6) == 0 {
				return errors.New(why)
			}
			return nil
		}
	}
	sink.fail, sink.late = refuse("refused"), refuse("answer lost")
	o := Options{
		Roots: []Root{{Path: node.Root(), Format: format.CRI}}, StateDir: filepath.Join(dir, "state"),
		Linger: time.Millisecond, Settle: 30 * time.Millisecond, IdleCut: time.Hour, SaveEvery: 10 * time.Millisecond,
	}
	for range rounds {
		wrote := make(chan error, 1)
		go func() { wrote <- wind.Round(400) }()
		for range rng.IntN(4) {
			mortalRun(t, o, sink, rng.IntN(600))
		}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		stop := startSource(t, s, sink)
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		want := len(node.Ledger())
		// Only when this source has everything saved may the next round delete files.
		sink.await(t, fmt.Sprintf("%d lines", want), func(got []line) bool { return s.quiet.Load() && len(dedup(t, got)) >= want })
		stop()
	}
	if err := wind.Close(); err != nil {
		t.Fatal(err)
	}
	got := dedup(t, sink.snapshot())
	for _, want := range node.Ledger() {
		p := position{want.FileID, want.Stream, want.Position}
		l, ok := got[p]
		if !ok || l.body != want.Body || l.unixNano != want.UnixNano {
			t.Fatalf("want %+v %.60q, have %.60q", p, want.Body, l.body)
		}
		delete(got, p)
	}
	for p, l := range got {
		t.Fatalf("nobody wrote %+v %.60q", p, l.body)
	}
}

// mortalRun runs a source and kills it when so many more lines have come, or nothing comes any more.
func mortalRun(t *testing.T, o Options, sink *recorder, lines int) {
	t.Helper()
	fsys := &mortalFS{FS: disk.OS}
	o.FS = fsys
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, sink) }()
	until := len(sink.snapshot()) + lines
	idle := time.NewTimer(200 * time.Millisecond)
	defer idle.Stop()
	for len(sink.snapshot()) < until {
		select {
		case <-sink.changed:
			continue
		case <-idle.C:
		}
		break
	}
	fsys.dead.Store(true)
	cancel()
	if err := <-done; err != nil && !errors.Is(err, errDead) {
		t.Fatal(err)
	}
}
