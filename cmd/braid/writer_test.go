package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/braidhq/braid/demo/node"
)

// A content is what a stored line is compared by: who wrote it, and what.
type content [32]byte

func contentOf(pod, stream, body string) content {
	return sha256.Sum256([]byte(pod + "\x00" + stream + "\x00" + body))
}

// A shelf is a node's log tree that tests write to as container runtime and kubelet do, and the truth about it.
type shelf struct {
	root string
	seed uint64

	mu    sync.Mutex
	lines map[content]int // how often each content was written
	total int
}

func newShelf(root string, seed uint64) *shelf {
	return &shelf{root: root, seed: seed, lines: map[content]int{}}
}

// A container writes lines to both streams of one log.
type shelfContainer struct {
	shelf  *shelf
	pod    string
	log    *node.Container
	out    map[string]*io.PipeWriter
	copied sync.WaitGroup
	r      *rand.Rand
	n      int
}

// open makes a container that rotates at maxBytes.
func (s *shelf) open(t testing.TB, index int, maxBytes int64) *shelfContainer {
	t.Helper()
	pod := fmt.Sprintf("pod-%d", index)
	log, err := node.Create(node.Options{Root: s.root, MaxBytes: maxBytes, MaxFiles: 1000, Now: time.Now},
		"chaos", pod, fmt.Sprintf("00000000-0000-4000-8000-%012d", index), "main")
	if err != nil {
		t.Fatal(err)
	}
	c := &shelfContainer{shelf: s, pod: pod, log: log, out: map[string]*io.PipeWriter{}, r: rand.New(rand.NewPCG(s.seed, uint64(index)))}
	for _, stream := range []string{"stdout", "stderr"} {
		in, out := io.Pipe()
		c.out[stream] = out
		c.copied.Go(func() {
			if err := log.Copy(stream, in); err != nil {
				t.Error(err)
			}
		})
	}
	return c
}

// write writes n lines of every kind and rotates when it is time to.
func (c *shelfContainer) write(t testing.TB, n int) {
	t.Helper()
	for range n {
		stream, line := c.line()
		c.shelf.mu.Lock()
		c.shelf.lines[contentOf(c.pod, stream, line)]++
		c.shelf.total++
		c.shelf.mu.Unlock()
		if _, err := io.WriteString(c.out[stream], line+"\n"); err != nil {
			t.Error(err)
			return
		}
	}
	if _, err := c.log.Rotate(); err != nil {
		t.Error(err)
	}
}

func (c *shelfContainer) line() (stream, line string) {
	c.n++
	stream = "stdout"
	if c.r.IntN(10) == 0 {
		stream = "stderr"
	}
	if c.r.IntN(200) == 0 { // several pieces
		return stream, fmt.Sprintf("long %d %s", c.n, strings.Repeat("x", 16_000+c.r.IntN(40_000)))
	}
	switch c.r.IntN(20) {
	case 1, 2, 3:
		return stream, fmt.Sprintf("level=warn n=%d msg=\"slow query\" ms=%d", c.n, c.r.IntN(5000))
	case 4:
		return stream, "the same line again and again"
	}
	return stream, fmt.Sprintf(`{"level":"%s","n":%d,"msg":"request completed","trace_id":"%016x%016x","user":"ü%d"}`,
		[]string{"info", "debug", "error"}[c.r.IntN(3)], c.n, c.r.Uint64()|1, c.r.Uint64(), c.r.IntN(1000))
}

// close ends the container's log.
func (c *shelfContainer) close(t testing.TB) {
	t.Helper()
	for _, out := range c.out {
		out.Close()
	}
	c.copied.Wait()
	if err := c.log.Close(); err != nil {
		t.Error(err)
	}
}

// compare fails the test unless got is what was written, each line as often.
func (s *shelf) compare(t testing.TB, where string, got map[content]int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	missing, extra := 0, 0
	for c, n := range s.lines {
		missing += max(0, n-got[c])
	}
	for c, n := range got {
		extra += max(0, n-s.lines[c])
	}
	if missing > 0 || extra > 0 {
		t.Errorf("%s: of %d lines %d are missing and %d too many", where, s.total, missing, extra)
	}
}

func (s *shelf) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
