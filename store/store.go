package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/braidhq/braid/disk"
)

// formatVersion is that of keys and values in Pebble; see docs/format/store.md.
const formatVersion = 1

// pebbleFormat is Pebble's own; it is pinned, so that a newer library does not silently make a directory unreadable
// for the braid before.
const pebbleFormat = pebble.FormatValueSeparation

// DefaultRetention is how long records stay if nothing else is said.
const DefaultRetention = 24 * time.Hour

// Options of a [Store].
type Options struct {
	Dir        string
	Retention  time.Duration         // 0: DefaultRetention
	MinFree    uint64                // bytes of the disk that are left free; 0: DefaultMinFree
	Registerer prometheus.Registerer // nil: unregistered. Two stores need registerers that tell them apart.
	Logger     *slog.Logger          // nil: silent
	Now        func() time.Time      // nil: time.Now

	// In tests: Pebble's file system, and how much room there is.
	fs   vfs.FS
	free func() (uint64, error)
}

// ErrClosed ends what goes on when a store is closed.
var ErrClosed = errors.New("store is closed")

// A Store is one directory of lines, spans and samples. Its methods are safe for concurrent use.
type Store struct {
	retention time.Duration
	minFree   uint64
	free      func() (uint64, error)
	now       func() time.Time
	db        *pebble.DB
	samples   *tsdb.DB
	streams   *streams
	metrics   *metrics

	operations *operations

	logs logWriter

	wakeMu sync.Mutex
	wake   chan struct{} // closed and replaced when lines have been committed

	closing chan struct{}
	stateMu sync.Mutex // orders enter with Close
	closed  bool
	users   sync.WaitGroup // calls that use the engines
}

// Open opens or makes the store in o.Dir. The directory is locked; one of a newer format is refused.
func Open(o Options) (*Store, error) {
	o = o.complete()
	s := &Store{
		retention: o.Retention, minFree: o.MinFree, free: o.free, now: o.Now, streams: newStreams(),
		operations: newOperations(),
		wake:       make(chan struct{}), closing: make(chan struct{}),
	}
	db, err := pebble.Open(filepath.Join(o.Dir, "records"), &pebble.Options{
		FS: o.fs, FormatMajorVersion: pebbleFormat, MemTableSize: 16 << 20, Logger: engineLogger{o.Logger},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open store %s: %w", o.Dir, err)
	}
	s.db = db
	s.metrics = newMetrics(s.diskBytes)
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open store %s: %w", o.Dir, err), db.Close())
	}
	s.samples, err = openSamples(filepath.Join(o.Dir, "samples"), o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open store %s: %w", o.Dir, err), db.Close())
	}
	s.metrics.register(o.Registerer)
	s.metrics.streams.Set(float64(len(s.streams.byID)))
	s.users.Add(1)
	go s.retain()
	return s, nil
}

// complete fills in what is not said.
func (o Options) complete() Options {
	if o.Retention <= 0 {
		o.Retention = DefaultRetention
	}
	if o.MinFree == 0 {
		o.MinFree = DefaultMinFree
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	if o.free == nil {
		o.free = freeBytes(o.fs, o.Dir)
	}
	return o
}

// load checks the format and reads what the store keeps in memory.
func (s *Store) load() error {
	key := []byte{metaPrefix, 'v'}
	value, closer, err := s.db.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		if err := s.db.Set(key, binary.BigEndian.AppendUint16(nil, formatVersion), pebble.Sync); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		defer closer.Close()
		if len(value) != 2 {
			return fmt.Errorf("%w: version % x", errCorrupt, value)
		}
		if v := binary.BigEndian.Uint16(value); v != formatVersion {
			return fmt.Errorf("it has version %d and this braid reads %d: start the braid that wrote it, or remove the directory: %w",
				v, formatVersion, disk.ErrVersion)
		}
	}
	if s.logs.last, err = lastSequence(s.db); err != nil {
		return err
	}
	if err := errors.Join(s.streams.load(s.db), s.operations.load(s.db)); err != nil {
		return err
	}
	return s.indexSpans()
}

// A reader is the part of a Pebble database or snapshot that is used here.
type reader interface {
	NewIter(*pebble.IterOptions) (*pebble.Iterator, error)
}

// lastSequence returns the place of the line that came last.
func lastSequence(r reader) (last sequence, err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{sequencePrefix}, UpperBound: []byte{sequencePrefix + 1}})
	if err != nil {
		return last, err
	}
	defer it.Close()
	if !it.Last() {
		return last, it.Error()
	}
	return parseSequence(it.Key())
}

func (s *Store) diskBytes() float64 {
	if !s.enter() {
		return 0
	}
	defer s.users.Done()
	return float64(s.db.Metrics().DiskSpaceUsage())
}

// enter keeps the engines open until users.Done; it reports false when the store is closed.
func (s *Store) enter() bool {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	if s.closed {
		return false
	}
	s.users.Add(1)
	return true
}

// Close ends every answer that is under way with [ErrClosed], waits for them and for writes, and closes the engines.
// A second Close does nothing.
func (s *Store) Close() error {
	s.stateMu.Lock()
	if s.closed {
		s.stateMu.Unlock()
		return nil
	}
	s.closed = true
	close(s.closing)
	s.stateMu.Unlock()
	s.users.Wait()
	return errors.Join(s.samples.Close(), s.db.Close())
}

// alive returns why an answer must end, nil if it may go on.
func (s *Store) alive(ctx context.Context) error {
	select {
	case <-s.closing:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// Queryable reads the samples, for PromQL. It must not be used after Close.
func (s *Store) Queryable() storage.Queryable { return s.samples }

// ExemplarQueryable reads the exemplars. It must not be used after Close.
func (s *Store) ExemplarQueryable() storage.ExemplarQueryable { return s.samples }

// engineLogger passes Pebble's errors on and drops its chatter.
type engineLogger struct{ log *slog.Logger }

func (engineLogger) Infof(string, ...any) {}

func (l engineLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble reports an error", "err", fmt.Sprintf(format, args...))
}

// Fatalf is called when Pebble's write-ahead log cannot be written. Pebble requires that it does not return: the
// database's state is unknown until it is opened again. The queue still holds whatever was not acknowledged.
func (engineLogger) Fatalf(format string, args ...any) {
	panic("cannot go on without the store's write-ahead log: " + fmt.Sprintf(format, args...))
}
