package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

const (
	cursorSuffix  = ".cursor"
	cursorKind    = "cursor"
	cursorVersion = 1
	cursorHead    = 24 // position, ordinal, stamp; the state follows
)

func (l *lane) cursorName(name string) string { return filepath.Join(l.cursorDir(), name+cursorSuffix) }

func (l *lane) writeCursor(name string, at bookmark, state []byte) error {
	b := make([]byte, 0, cursorHead)
	b = binary.LittleEndian.AppendUint64(b, at.position)
	b = binary.LittleEndian.AppendUint64(b, at.ordinal)
	b = binary.LittleEndian.AppendUint64(b, uint64(at.stamp))
	return disk.WriteVersioned(l.fs, l.cursorName(name), cursorKind, cursorVersion, b, state)
}

func (l *lane) readCursor(name string) (at bookmark, state []byte, err error) {
	_, b, err := disk.ReadVersioned(l.fs, l.cursorName(name), cursorKind, cursorVersion)
	if err != nil {
		return bookmark{}, nil, err
	}
	if len(b) < cursorHead {
		return bookmark{}, nil, fmt.Errorf("%s: %w", l.cursorName(name), disk.ErrCorrupt)
	}
	at.position = binary.LittleEndian.Uint64(b)
	at.ordinal = binary.LittleEndian.Uint64(b[8:])
	at.stamp = int64(binary.LittleEndian.Uint64(b[16:]))
	return at, b[cursorHead:], nil
}

// validName keeps cursor names to what is a file name everywhere.
func validName(name string) bool {
	return name != "" && len(name) <= 100 && name[0] != '.' && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// Cursor opens the cursor called name (letters, digits, '-', '_', '.') of a lane, where its last Commit left it. A new
// one begins with the oldest frame that is still there, and is known to later runs from then on. A cursor can be open
// only once.
//
// Until a cursor of an earlier run is opened its frames are kept like those of an optional one: as long as the lane has
// room. [Queue.Forget] lets them go at once.
func (q *Queue) Cursor(s telemetry.Signal, name string, o CursorOptions) (*Cursor, error) {
	if !validName(name) {
		return nil, fmt.Errorf("cannot open cursor %q: the name may have letters, digits, '-', '_' and '.'", name)
	}
	l := q.lane(s)
	l.trimming.Lock()
	defer l.trimming.Unlock()
	if l.hasOpen(name) {
		return nil, fmt.Errorf("cannot open cursor %s of %s: it is open", name, s)
	}
	at, state, err := l.readCursor(name)
	if errors.Is(err, disk.ErrCorrupt) {
		q.options.Logger.Error("a cursor file is damaged: its cursor begins anew", "err", err)
	}
	if disk.IsNotExist(err) || errors.Is(err, disk.ErrCorrupt) {
		at, state = l.removed(), nil
		err = l.writeCursor(name, at, nil)
	}
	if err == nil {
		err = l.fs.SyncDir(l.cursorDir())
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open cursor %s of %s: %w", name, s, err)
	}
	c := &Cursor{
		q: q, lane: l, name: name, options: o, state: slices.Clone(state),
		wake: make(chan struct{}, 1), gone: make(chan struct{}),
		committed: at, opened: at, at: at, stored: at,
		scan: scanner{place: l.place}, metrics: q.metrics.cursor(s, name),
	}
	if o.Decoded {
		c.fresh = &fresh{maxBytes: maxFreshBytes}
	}
	if o.Follows != nil && o.Follows.follow(c) {
		c.fresh = &fresh{maxBytes: maxFollowedBytes}
	}
	c.since = at.stamp
	if o.Hold > 0 {
		c.since = o.held(c.since)
		c.at = l.since(at, c.since)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursors[name] = c
	delete(l.dormant, name)
	return c, nil
}

// held returns from which receive time on frames are wanted again, committed being that of the cursor's own place.
func (o *CursorOptions) held(committed int64) int64 {
	for _, c := range o.HoldFor {
		committed = min(committed, c.Watermark())
	}
	return committed - int64(o.Hold)
}

func (l *lane) hasOpen(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursors[name] != nil
}

// since returns the beginning of a segment before at, from which on lies everything received at stamp or later.
func (l *lane) since(at bookmark, stamp int64) bookmark {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.segments {
		if s.base >= at.position {
			break
		}
		if i+1 == len(l.segments) || l.segments[i+1].base >= at.position || l.segments[i+1].stamp >= stamp {
			return bookmark{position: s.base, ordinal: s.ordinal, stamp: s.stamp}
		}
	}
	return at
}

// Cursors returns the names of a lane's cursors, those of earlier runs included, sorted.
func (q *Queue) Cursors(s telemetry.Signal) []string {
	l := q.lane(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for name := range l.cursors {
		names = append(names, name)
	}
	for name := range l.dormant {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Forget deletes a cursor that is not open, so that it keeps no frames any more.
func (q *Queue) Forget(s telemetry.Signal, name string) error {
	l := q.lane(s)
	if !validName(name) || l.hasOpen(name) {
		return fmt.Errorf("cannot forget cursor %s of %s: it is open or no cursor", name, s)
	}
	if err := l.fs.Remove(l.cursorName(name)); err != nil && !disk.IsNotExist(err) {
		return fmt.Errorf("cannot forget cursor %s of %s: %w", name, s, err)
	}
	if err := l.fs.SyncDir(l.cursorDir()); err != nil {
		return fmt.Errorf("cannot forget cursor %s of %s: %w", name, s, err)
	}
	l.mu.Lock()
	delete(l.dormant, name)
	l.mu.Unlock()
	q.trim(l)
	return nil
}
