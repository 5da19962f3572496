package tail

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

// A Root is a tree of log files.
type Root struct {
	Path   string
	Format format.Format // CRI or Docker
}

// Options say what to follow and how. Durations of 0 mean the defaults that [Follow] gives them.
type Options struct {
	Roots         []Root
	StateDir      string
	FS            disk.FS // of StateDir
	Cluster, Node string
	MaxLineBytes  int
	// OpenBytesLimit bounds the unread bytes of deleted files that are kept only by being open. 0: 10 GiB.
	OpenBytesLimit int64
	Settle         time.Duration // so long after its last change the writer of a renamed or deleted file is done; 100 ms
	IdleCut        time.Duration // so long a line may stay without its end; 5 s
	Rescan         time.Duration // between full scans, the net below inotify; 30 s
	Now            func() time.Time
	Metrics        *Metrics
	Logger         *slog.Logger
}

// A Follower reads every container of its roots. All methods are called from one goroutine.
type Follower struct {
	o       Options
	lock    io.Closer
	watcher *fsnotify.Watcher
	spares  format.Spares

	watched  map[string]watchLevel // directories with a watch
	places   map[string]*place     // container directories
	attempts map[attemptKey]*Attempt
	byPath   map[string]*Attempt // of live files, for the events of growing ones
	stale    map[string]*place   // places to scan

	queue   []*Attempt             // may have something to read
	touched []*Attempt             // read since the last Ack or Rewind
	cutting []*Attempt             // wait for a cut to be synced
	waiting map[*Attempt]time.Time // to look at again when nothing happens

	lastScan   time.Time
	watchFails bool // some directory has no watch: scan often
	stateDirty bool
	aliveUntil time.Time       // when the state that was loaded was written
	failed     map[string]bool // what went wrong in the last scan,
	failedThen map[string]bool // and in the one before it
}

// An attemptKey identifies an attempt.
type attemptKey struct {
	dir, container string
	restart        int
}

func keyOfContainer(c Container) attemptKey {
	if c.ContainerID != "" {
		return attemptKey{dir: c.Dir}
	}
	return attemptKey{c.Dir, c.Container, c.Restart}
}

// Follow loads the positions, looks at every tree once and watches them from then on.
func Follow(o Options) (*Follower, error) {
	setDefaults(&o)
	for _, r := range o.Roots {
		if r.Format != format.CRI && r.Format != format.Docker {
			return nil, fmt.Errorf("cannot follow %s: its format is %s, want cri or docker", r.Path, r.Format)
		}
	}
	if err := o.FS.MkdirAll(o.StateDir); err != nil {
		return nil, fmt.Errorf("cannot make the directory for log positions: %w", err)
	}
	lock, err := o.FS.Lock(filepath.Join(o.StateDir, "positions.lock"))
	if err != nil {
		return nil, fmt.Errorf("cannot keep log positions: %w", err)
	}
	f := &Follower{
		o: o, lock: lock,
		watched: map[string]watchLevel{}, places: map[string]*place{}, attempts: map[attemptKey]*Attempt{},
		byPath: map[string]*Attempt{}, stale: map[string]*place{}, waiting: map[*Attempt]time.Time{}, failed: map[string]bool{},
	}
	if err := f.load(); err != nil {
		lock.Close()
		return nil, err
	}
	if f.watcher, err = fsnotify.NewBufferedWatcher(watchBuffer); err != nil {
		lock.Close()
		return nil, fmt.Errorf("cannot watch log directories: %w", err)
	}
	f.Rescan()
	return f, nil
}

const (
	watchBuffer    = 1024
	openBytesLimit = 10 << 30
)

func setDefaults(o *Options) {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.Settle, 100*time.Millisecond)
	def(&o.IdleCut, 5*time.Second)
	def(&o.Rescan, 30*time.Second)
	if o.OpenBytesLimit == 0 {
		o.OpenBytesLimit = openBytesLimit
	}
	if o.FS == nil {
		o.FS = disk.OS
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Close gives up every file and watch. It saves nothing.
func (f *Follower) Close() error {
	err := f.watcher.Close()
	for _, a := range f.attempts {
		for _, c := range a.chain {
			f.release(c)
		}
	}
	return errors.Join(err, f.lock.Close())
}

// Pending reports whether there may be something to read now.
func (f *Follower) Pending() bool { return len(f.queue) > 0 || len(f.cutting) > 0 }

// Quiet reports that everything that was found is safe and saved, and that nothing waits for its time.
func (f *Follower) Quiet() bool {
	return !f.Pending() && len(f.touched) == 0 && len(f.waiting) == 0 && len(f.stale) == 0 && !f.stateDirty
}

// Wake returns when Tick should be called next if nothing else happens.
func (f *Follower) Wake() time.Time {
	every := f.o.Rescan
	if f.watchFails {
		every = min(every, time.Second)
	}
	next := f.lastScan.Add(every)
	for _, t := range f.waiting {
		if t.Before(next) {
			next = t
		}
	}
	return next
}

// Tick looks at what had to wait until now.
func (f *Follower) Tick() {
	now := f.o.Now()
	for a, t := range f.waiting {
		if !now.Before(t) {
			delete(f.waiting, a)
			f.enqueue(a)
		}
	}
	if !now.Before(f.lastScan.Add(f.o.Rescan)) || f.watchFails && !now.Before(f.lastScan.Add(time.Second)) {
		f.Rescan()
	}
}

func (f *Follower) enqueue(a *Attempt) {
	if !a.queued {
		a.queued = true
		f.queue = append(f.queue, a)
	}
}

func (f *Follower) wait(a *Attempt, until time.Time) {
	if t, ok := f.waiting[a]; !ok || until.Before(t) {
		f.waiting[a] = until
	}
}

func (f *Follower) touch(a *Attempt) {
	if !a.touched {
		a.touched = true
		f.touched = append(f.touched, a)
	}
}

// Ack tells that every record emitted since the last Ack or Rewind is safe: positions move.
func (f *Follower) Ack() {
	for _, a := range f.touched {
		a.touched = false
		a.advance()
		f.forget(a)
	}
	f.settle(len(f.touched) > 0)
}

// Rewind tells that they are not: they will be emitted again, with the same positions.
func (f *Follower) Rewind() {
	for _, a := range f.touched {
		a.touched = false
		a.rewind()
		f.enqueue(a)
	}
	f.settle(len(f.touched) > 0) // more is known to exist, if not more is safe
}

func (f *Follower) settle(dirty bool) {
	clear(f.touched)
	f.touched = f.touched[:0]
	f.stateDirty = f.stateDirty || dirty
	f.spares.Release()
}

// release closes a file. Its identity stays known as long as it is listed.
func (f *Follower) release(c *chainFile) {
	if c.src == nil {
		return
	}
	c.src.Close()
	c.src, c.held, c.gz = nil, nil, nil
	f.o.Metrics.OpenFiles.Dec()
}

// problem counts an operating error and says it, the same one about the same thing once until it is gone.
func (f *Follower) problem(op, what string, err error) {
	f.o.Metrics.Errors.WithLabelValues(op).Inc()
	key := op + " " + what
	said := f.failed[key] || f.failedThen[key]
	f.failed[key] = true
	if !said {
		f.o.Logger.Error("cannot "+op+" log files", "path", what, "err", err)
	}
}

func (f *Follower) solved(op, what string) {
	if len(f.failed) > 0 {
		delete(f.failed, op+" "+what)
	}
	if len(f.failedThen) > 0 {
		delete(f.failedThen, op+" "+what)
	}
}

// MaxChunk is the most that is read of a file at once.
const MaxChunk = 256 << 10

// An Emit function takes a record of a file of an attempt. Body stays valid until the next Ack or Rewind, as long as the
// buffer given to Collect is left alone.
type Emit func(a *Attempt, id telemetry.FileID, r *format.Record)
