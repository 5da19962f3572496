package logstest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/telemetry"
)

// A Line is one line of the ledger: as the program wrote it, and where a reader finds it.
type Line struct {
	Container tail.Container
	FileID    telemetry.FileID
	Stream    telemetry.Stream
	Position  int64
	UnixNano  int64 // of its first piece
	Body      string
}

// A Node is a tree of log files. Safe for concurrent use by several writers.
type Node struct {
	root     string
	maxFiles int
	now      func() time.Time

	mu     sync.Mutex
	last   time.Time
	ledger []Line
	forget bool
}

// Options configure a [Node].
type Options struct {
	MaxFiles int              // of one attempt, as containerLogMaxFiles; 5
	Now      func() time.Time // time.Now; time stamps never repeat, whatever it says
	NoLedger bool             // for writers that run for long
}

// NewNode returns a node that writes below root, for example <dir>/var/log/pods.
func NewNode(root string, o Options) (*Node, error) {
	if err := os.MkdirAll(root, 0o750); err != nil {
		return nil, err
	}
	n := &Node{root: root, maxFiles: o.MaxFiles, now: o.Now, forget: o.NoLedger}
	if n.maxFiles == 0 {
		n.maxFiles = 5
	}
	if n.now == nil {
		n.now = time.Now
	}
	return n, nil
}

// Root returns the directory that a reader follows.
func (n *Node) Root() string { return n.root }

// Ledger returns the complete lines written so far, in order.
func (n *Node) Ledger() []Line {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Line(nil), n.ledger...)
}

// tick returns a time stamp later than every one before.
func (n *Node) tick() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.now()
	if !t.After(n.last) {
		t = n.last.Add(1)
	}
	n.last = t
	return t
}

func (n *Node) record(l Line) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.forget {
		n.ledger = append(n.ledger, l)
	}
}

// Container returns the identity that a tree's paths give a container.
func Container(namespace, pod, uid, container string, restart int) tail.Container {
	return tail.Container{Namespace: namespace, Pod: pod, PodUID: uid, Container: container, Restart: restart,
		Dir: namespace + "_" + pod + "_" + uid}
}

// DeletePod removes a pod's directories, files first, as the kubelet does.
func (n *Node) DeletePod(c tail.Container) error {
	dir := filepath.Join(n.root, c.Dir)
	containers, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot delete pod: %w", err)
	}
	for _, d := range containers {
		files, err := os.ReadDir(filepath.Join(dir, d.Name()))
		if err != nil {
			return fmt.Errorf("cannot delete pod: %w", err)
		}
		for _, f := range files {
			if err := os.Remove(filepath.Join(dir, d.Name(), f.Name())); err != nil {
				return fmt.Errorf("cannot delete pod: %w", err)
			}
		}
	}
	return os.RemoveAll(dir)
}
