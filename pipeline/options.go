package pipeline

import (
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// Options of a queue. Only Dir is required.
type Options struct {
	// Dir is the queue's own directory, made if it is not there.
	Dir string
	// FS defaults to the operating system's.
	FS disk.FS
	// MaxBytes is what each lane's segments may take on disk; 1 GiB for a signal that is not named.
	MaxBytes map[telemetry.Signal]int64
	// SegmentBytes is the size at which a segment is closed (64 MiB), an eighth of its lane's MaxBytes at most.
	SegmentBytes int64
	// SyncWindow is how far apart groups begin at least, 5 ms at most: what arrives within it is written and synced together.
	// The default 0 is natural batching: what arrives during one group's sync is the next group.
	SyncWindow time.Duration
	// Now defaults to time.Now. It stamps frames.
	Now func() time.Time
	// Logger hears of changes of state; nil is silence.
	Logger *slog.Logger
	// Registerer takes the queue's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// QuarantineBytes bounds the quarantine directory (64 MiB); beyond it the oldest files go.
	QuarantineBytes int64
}

const (
	defaultLaneBytes       = 1 << 30
	defaultSegmentBytes    = 64 << 20
	defaultQuarantineBytes = 64 << 20
	maxSyncWindow          = 5 * time.Millisecond

	fullRetryAfter  = time.Second     // a lane is full until a cursor moves
	spaceRetryAfter = 5 * time.Second // the disk is full until somebody acts
)

var (
	// ErrFull says that a lane has no room left. It comes marked by [telemetry.Throttled].
	ErrFull = errors.New("the queue's lane is full")
	// ErrClosed says that the queue, or the cursor, has been closed.
	ErrClosed = errors.New("the queue is closed")
	// ErrInvalid says that a frame can never be stored. It comes marked by [telemetry.Permanent].
	ErrInvalid = errors.New("invalid frame")
)

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = disk.OS
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	o.SyncWindow = min(o.SyncWindow, maxSyncWindow)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.QuarantineBytes <= 0 {
		o.QuarantineBytes = defaultQuarantineBytes
	}
	return o
}

func (o Options) laneBytes(s telemetry.Signal) int64 {
	if n := o.MaxBytes[s]; n > 0 {
		return n
	}
	return defaultLaneBytes
}
