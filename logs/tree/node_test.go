package tree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

const (
	sample   = "../testdata/node/var-log/pods"
	deadline = time.Minute
)

// A node does to a log directory what container runtime and kubelet do.
type node struct {
	t    testing.TB
	root string
	dir  string // of the container
	next int    // seconds of the next line's time stamp
}

func newNode(t testing.TB) *node {
	n := &node{t: t, root: t.TempDir()}
	n.dir = filepath.Join(n.root, "shop_cart-0_4711", "web")
	n.must(os.MkdirAll(n.dir, 0o750))
	return n
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

// stamp returns the next time stamp: one second after the last.
func (n *node) stamp() string {
	n.next++
	return time.Unix(int64(n.next), 0).UTC().Format(time.RFC3339Nano)
}

// write appends lines of stdout to a file; "P text" is a partial one, "err text" one of stderr.
func (n *node) write(name string, lines ...string) {
	n.t.Helper()
	f, err := os.OpenFile(n.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	n.must(err)
	for _, line := range lines {
		stream, tag := "stdout", "F"
		if rest, ok := strings.CutPrefix(line, "err "); ok {
			stream, line = "stderr", rest
		}
		if rest, ok := strings.CutPrefix(line, "P "); ok {
			tag, line = "P", rest
		}
		_, err := fmt.Fprintf(f, "%s %s %s %s\n", n.stamp(), stream, tag, line)
		n.must(err)
	}
	n.must(f.Close())
}

// rotate renames the live file and makes a new one, as the kubelet does.
func (n *node) rotate(live, suffix string) {
	n.t.Helper()
	n.must(os.Rename(n.path(live), n.path(live+"."+suffix)))
	n.must(os.WriteFile(n.path(live), nil, 0o640))
}

// compress replaces a rotated file by its .gz.
func (n *node) compress(name string) {
	n.t.Helper()
	data, err := os.ReadFile(n.path(name))
	n.must(err)
	f, err := os.Create(n.path(name + ".tmp"))
	n.must(err)
	z := gzip.NewWriter(f)
	_, err = z.Write(data)
	n.must(err)
	n.must(z.Close())
	n.must(f.Close())
	n.must(os.Rename(n.path(name+".tmp"), n.path(name+".gz")))
	n.must(os.Remove(n.path(name)))
}

func (n *node) container() *Container {
	n.t.Helper()
	all, err := List(n.root, format.CRI)
	n.must(err)
	if len(all) != 1 {
		n.t.Fatalf("%d containers, want 1", len(all))
	}
	return &all[0]
}

// bodies reads the newest attempt; a line without end has an ellipsis.
func (n *node) bodies(q Query) string {
	n.t.Helper()
	c := n.container()
	return read(n.t, c, c.Newest(), q)
}

func read(t testing.TB, c *Container, a *Attempt, q Query) string {
	t.Helper()
	var got []string
	err := c.Read(context.Background(), a, q, func(r *telemetry.LogRecord) error {
		got = append(got, body(r))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, "|")
}

func body(r *telemetry.LogRecord) string {
	if r.Flags&telemetry.Partial != 0 {
		return string(r.Body) + "…"
	}
	return string(r.Body)
}
