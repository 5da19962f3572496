package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/braidhq/braid/telemetry"
)

// ErrFull says that the disk has less room left than the store keeps free.
var ErrFull = errors.New("the store's disk is full")

// DefaultMinFree is how many bytes of its disk the store leaves free if nothing else is said.
const DefaultMinFree = 128 << 20

// room refuses a write while there is less room than minFree. Pebble cannot go on after its write-ahead log met a full
// disk, and flushing and compacting, which is how expired records give room back, need some themselves.
func (s *Store) room() error {
	free, err := s.free()
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot see how much room the store has: %w", err)
	}
	if free < s.minFree {
		return telemetry.Throttled(fmt.Errorf("%w: %d bytes are free and it leaves %d", ErrFull, free, s.minFree), time.Second)
	}
	return nil
}

// freeBytes asks the file system of dir.
func freeBytes(fs vfs.FS, dir string) func() (uint64, error) {
	return func() (uint64, error) {
		usage, err := fs.GetDiskUsage(dir)
		return usage.AvailBytes, err
	}
}
