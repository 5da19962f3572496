package logs

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/telemetry"
)

// A Root is a tree of log files: /var/log/pods (CRI) or /var/lib/docker/containers (Docker).
type Root = tail.Root

// Options configure a [Source]. Everything but Roots and StateDir has a default.
type Options struct {
	Roots         []Root
	StateDir      string        // where the positions are kept
	FS            disk.FS       // of StateDir; disk.OS
	Cluster, Node string        // part of every Resource
	MaxLineBytes  int           // longer bodies are truncated and flagged; 1 MiB
	Linger        time.Duration // how long a line may wait for company; 50 ms
	// OpenBytesLimit bounds what deleted files may keep of the disk because they are not read yet; 10 GiB.
	OpenBytesLimit int64
	// Settle is how long after its last change a renamed or deleted file is taken for finished (100 ms), IdleCut how long
	// a line may stay without its end (5 s), Rescan the time between full scans (30 s), SaveEvery between states (1 s).
	Settle, IdleCut, Rescan, SaveEvery time.Duration

	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

const (
	writeBytes     = 1 << 20 // of log files in one Write
	writeRecords   = 16 << 10
	firstPause     = 100 * time.Millisecond // after a failed Write, doubled up to
	longestPause   = 5 * time.Second
	defaultLinger  = 50 * time.Millisecond
	defaultSaveGap = time.Second
)

// A Source follows log files.
type Source struct {
	o       Options
	metrics *tail.Metrics
	// quiet: everything that was found is safe and saved, and nothing waits for its time.
	quiet atomic.Bool
}

// New checks the options. Files are touched by [Source.Run] only.
func New(o Options) (*Source, error) {
	if len(o.Roots) == 0 {
		return nil, errors.New("cannot follow logs: no roots")
	}
	if o.StateDir == "" {
		return nil, errors.New("cannot follow logs: no directory for positions")
	}
	if o.Linger == 0 {
		o.Linger = defaultLinger
	}
	if o.SaveEvery == 0 {
		o.SaveEvery = defaultSaveGap
	}
	return &Source{o: o, metrics: tail.NewMetrics(o.Registerer)}, nil
}

// Run follows the trees until ctx ends, and returns nil then. It returns an error at once if the positions cannot be
// loaded or are in use by another process. A Write that fails is repeated with what is read again; one that fails for
// good is counted and passed.
func (s *Source) Run(ctx context.Context, next telemetry.Sink) error {
	f, err := tail.Follow(tail.Options{
		Roots: s.o.Roots, StateDir: s.o.StateDir, FS: s.o.FS, Cluster: s.o.Cluster, Node: s.o.Node,
		MaxLineBytes: s.o.MaxLineBytes, OpenBytesLimit: s.o.OpenBytesLimit,
		Settle: s.o.Settle, IdleCut: s.o.IdleCut, Rescan: s.o.Rescan,
		Metrics: s.metrics, Logger: s.o.Logger,
	})
	if err != nil {
		return err
	}
	r := &run{
		o: &s.o, metrics: s.metrics, follower: f, next: next,
		buf: make([]byte, writeBytes), written: make(chan error, 1), timer: time.NewTimer(0), saved: time.Now(), quiet: &s.quiet,
	}
	r.batcher.now = time.Now
	return errors.Join(r.loop(ctx), f.Close())
}
