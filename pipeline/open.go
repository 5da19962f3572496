package pipeline

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

const (
	lockName    = "LOCK"
	queueName   = "queue"
	queueKind   = "queue"
	queueVer    = 1
	scanBytes   = 1 << 20
	allFrames   = 1 << 30
	tmpSuffix   = ".tmp"
	openingText = "cannot open the queue in %s: %w"
)

// Open opens the queue in o.Dir, or makes one, and holds its lock until [Queue.Close]. What a crash has left is put
// right: the unfinished end of a lane is cut off, everything else stays as it is.
func Open(o Options) (*Queue, error) {
	o = o.withDefaults()
	if o.Dir == "" {
		return nil, errors.New("cannot open a queue without a directory")
	}
	q := &Queue{
		options: o, ids: newIDs(), metrics: newMetrics(),
		arrived: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	err := o.FS.MkdirAll(o.Dir)
	if err == nil {
		err = o.FS.SyncDir(filepath.Dir(filepath.Clean(o.Dir)))
	}
	if err == nil {
		q.lock, err = o.FS.Lock(filepath.Join(o.Dir, lockName))
	}
	if err != nil {
		return nil, fmt.Errorf(openingText, o.Dir, err)
	}
	if err := q.load(); err != nil {
		for _, l := range q.lanes {
			if l != nil && l.writer.file != nil {
				l.writer.file.Close()
			}
		}
		q.lock.Close()
		return nil, fmt.Errorf(openingText, o.Dir, err)
	}
	q.jail = newJail(q)
	if err := q.metrics.register(o.Registerer, q); err != nil {
		q.lock.Close()
		return nil, fmt.Errorf(openingText, o.Dir, err)
	}
	go q.run()
	return q, nil
}

// load reads everything that is there.
func (q *Queue) load() error {
	if err := q.loadID(); err != nil {
		return err
	}
	for i, s := range telemetry.Signals {
		l := newLane(q.id, s, q.options)
		q.lanes[i] = l
		if err := q.options.FS.MkdirAll(l.cursorDir()); err != nil {
			return err
		}
		if err := q.options.FS.SyncDir(l.dir); err != nil {
			return err
		}
		if err := q.loadLane(l); err != nil {
			return err
		}
	}
	if err := q.options.FS.SyncDir(q.options.Dir); err != nil {
		return err
	}
	q.ids.advance(max(q.stamp.Load(), q.options.Now().UnixNano()))
	for _, l := range q.lanes {
		if err := q.remember(l); err != nil {
			return err
		}
	}
	return nil
}

// loadID reads the queue's id, or draws one for a new directory.
func (q *Queue) loadID() error {
	name := filepath.Join(q.options.Dir, queueName)
	_, b, err := disk.ReadVersioned(q.options.FS, name, queueKind, queueVer)
	if disk.IsNotExist(err) {
		if _, err := q.options.FS.ReadDir(filepath.Join(q.options.Dir, telemetry.Logs.String())); err == nil {
			return fmt.Errorf("%s is missing beside its lanes", name)
		}
		_, _ = rand.Read(q.id[:])
		return disk.WriteVersioned(q.options.FS, name, queueKind, queueVer, q.id[:])
	}
	if err == nil && len(b) != len(q.id) {
		err = fmt.Errorf("%s: %w", name, disk.ErrCorrupt)
	}
	if err != nil {
		return err
	}
	q.id = telemetry.QueueID(b)
	return nil
}

// loadLane finds a lane's segments and cursors and where it goes on.
func (q *Queue) loadLane(l *lane) error {
	names, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(l.dir, name)
		if base, ok := parseBase(name, segmentSuffix); ok {
			l.segments = append(l.segments, &segment{name: path, base: base, durable: true})
		} else if _, ok := parseBase(name, idsSuffix); ok {
			if err := q.loadIDs(l, path); errors.Is(err, disk.ErrCorrupt) {
				q.options.Logger.Warn("cannot read remembered ids: repeats of the last minutes may be taken twice", "err", err)
			} else if err != nil {
				return err
			}
		} else if strings.HasSuffix(name, tmpSuffix) {
			_ = l.fs.Remove(path)
		}
	}
	furthest, err := q.loadDormant(l)
	if err != nil {
		return err
	}
	for i, seg := range l.segments { // in order: the names are sorted and their digits have one width
		if err := q.loadSegment(l, i, seg); err != nil {
			return err
		}
	}
	l.segments = slices.DeleteFunc(l.segments, func(s *segment) bool { return s.name == "" })
	if n := len(l.segments); n > 0 {
		if err := q.loadTail(l, l.segments[n-1], furthest); err != nil {
			return err
		}
	} else {
		l.writer.next, l.writer.ordinal = furthest.position, furthest.ordinal
		l.gone = bookmark{position: furthest.position, ordinal: furthest.ordinal}
	}
	if len(l.segments) > 0 {
		l.gone = bookmark{position: l.segments[0].base, ordinal: l.segments[0].ordinal}
	}
	l.frames = l.writer.ordinal
	q.saw(furthest.stamp)
	return nil
}

func (q *Queue) saw(stamp int64) { q.stamp.Store(max(q.stamp.Load(), stamp)) }

// loadDormant notes the cursors of earlier runs and returns the furthest.
func (q *Queue) loadDormant(l *lane) (furthest bookmark, err error) {
	names, err := l.fs.ReadDir(l.cursorDir())
	if err != nil {
		return bookmark{}, err
	}
	for _, file := range names {
		name, ok := strings.CutSuffix(file, cursorSuffix)
		if !ok {
			_ = l.fs.Remove(filepath.Join(l.cursorDir(), file)) // an unfinished write
			continue
		}
		at, _, err := l.readCursor(name)
		if errors.Is(err, disk.ErrCorrupt) {
			continue // opening it says so
		}
		if err != nil {
			return bookmark{}, err
		}
		l.dormant[name] = at.position
		if at.position > furthest.position {
			furthest.position, furthest.ordinal = at.position, at.ordinal
		}
		furthest.stamp = max(furthest.stamp, at.stamp)
	}
	return furthest, nil
}

// loadSegment reads a segment's header and size. One whose header never reached the disk loses its name here.
func (q *Queue) loadSegment(l *lane, i int, seg *segment) error {
	file, err := l.fs.Open(seg.name)
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return err
	}
	seg.end = seg.base + uint64(max(0, size-segmentHeader))
	err = seg.readHeader(file, l.place)
	if errors.Is(err, disk.ErrCorrupt) {
		if i+1 == len(l.segments) && !q.hasFrame(l, file, seg) {
			q.options.Logger.Info("an unfinished segment is dropped", "segment", seg.name)
			_ = l.fs.Remove(seg.name)
			seg.name = ""
			return nil
		}
		q.options.Logger.Warn("a segment's header is damaged; its frames are read all the same", "segment", seg.name)
		err = q.guessHeader(l, i, seg)
	}
	if err != nil {
		return err
	}
	if i+1 < len(l.segments) {
		// What lies behind the next segment's base was written by a group that failed.
		seg.end = min(seg.end, l.segments[i+1].base)
		if seg.end-seg.base < frameHead {
			seg.end = seg.base
		}
	}
	q.saw(seg.stamp)
	return nil
}

func (q *Queue) hasFrame(l *lane, file disk.File, seg *segment) bool {
	s := scanner{place: l.place}
	s.open(file, seg.base, seg.base)
	frames, err := s.read(seg.end, 1, 1)
	return err != nil || len(frames) > 0
}

// guessHeader sets what a damaged header would have said from the segment before.
func (q *Queue) guessHeader(l *lane, i int, seg *segment) error {
	if i == 0 {
		return nil
	}
	before := l.segments[i-1]
	file, err := l.fs.Open(before.name)
	if err != nil {
		return err
	}
	defer file.Close()
	seg.stamp = before.stamp
	frames, err := walk(file, before, l.place, before.end, func(stamp int64, _ [16]byte) { seg.stamp = max(seg.stamp, stamp) })
	seg.ordinal = before.ordinal + frames
	return err
}

// loadTail scans the newest segment, cuts off what a crash has left unfinished behind its last valid frame, and syncs
// the rest before anybody reads it: a frame that was seen must not be gone after the next crash.
func (q *Queue) loadTail(l *lane, seg *segment, furthest bookmark) error {
	file, err := l.fs.OpenAppend(seg.name)
	if err != nil {
		return err
	}
	s := scanner{place: l.place}
	s.open(file, seg.base, seg.base)
	physical, count, newest := seg.end, uint64(0), seg.stamp
	for s.pos < physical {
		frames, err := s.read(physical, scanBytes, allFrames)
		if err != nil {
			file.Close()
			return err
		}
		count += uint64(len(frames))
		if len(frames) > 0 {
			newest = max(newest, frames[len(frames)-1].ReceivedUnixNano)
		}
	}
	seg.end = s.good
	if s.good < physical {
		q.options.Logger.Info("the unfinished end of a segment is cut off", "segment", seg.name, "bytes", physical-s.good)
		err = file.Truncate(seg.offset(seg.end))
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		file.Close()
		return err
	}
	q.saw(newest)
	l.writer.ordinal = max(seg.ordinal+count, furthest.ordinal)
	l.writer.stamp = newest
	// Positions that a reader may have seen are never given out again, even if what they named is damaged now.
	l.writer.next = max(physical, furthest.position)
	if l.writer.next == seg.end && l.writer.ordinal == seg.ordinal+count && seg.offset(seg.end) < l.segmentBytes {
		l.resume(seg, file)
		return nil
	}
	if l.writer.next == seg.base {
		l.writer.next++
	}
	return file.Close()
}

// remember fills the IDs of young frames from the segments.
func (q *Queue) remember(l *lane) error {
	oldest := q.stamp.Load() - int64(repeatWindow)
	for i, seg := range slices.Backward(l.segments) {
		if i+1 < len(l.segments) && l.segments[i+1].stamp < oldest {
			break
		}
		file, err := l.fs.Open(seg.name)
		if err != nil {
			return err
		}
		_, err = walk(file, seg, l.place, seg.end, func(stamp int64, id [16]byte) { q.ids.add(id, stamp) })
		file.Close()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}
