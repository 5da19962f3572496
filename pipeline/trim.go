package pipeline

import (
	"encoding/binary"
	"fmt"
	"path/filepath"

	"github.com/braidhq/braid/disk"
)

// The IDs of frames whose segment went before they were ten minutes old are kept in a file beside the segments, named
// after the segment, until they are.
const (
	idsSuffix  = ".ids"
	idsKind    = "ids"
	idsVersion = 1
	idsEntry   = 24
)

// trim deletes the segments that nobody needs and the ID files that are too old.
func (q *Queue) trim(l *lane) {
	if q.suspended.Load() {
		return
	}
	l.trimming.Lock()
	defer l.trimming.Unlock()
	for {
		seg, newest := l.removable(false)
		if seg == nil || q.remove(l, seg, newest) != nil {
			break
		}
	}
	q.expireIDs(l)
}

// makeRoom deletes from a full lane whatever it may until need bytes fit, and reports whether they do.
func (q *Queue) makeRoom(l *lane, need int64) bool {
	if q.suspended.Load() {
		return false
	}
	if l.allConsumed() && l.pending() == 0 && l.writer.seg != nil {
		// Even the newest segment can go, once another one knows where the lane goes on.
		l.writer.stamp = q.stamp.Load()
		if l.writer.err = l.rollEmpty(); l.writer.err != nil {
			l.writer.touched = true
			return false
		}
	}
	l.trimming.Lock()
	defer l.trimming.Unlock()
	for l.bytes()+l.pending()+need > l.maxBytes-segmentHeader {
		seg, newest := l.removable(true)
		if seg == nil || q.remove(l, seg, newest) != nil {
			return false
		}
	}
	return true
}

// rollEmpty begins a segment and makes it durable while it is empty.
func (l *lane) rollEmpty() error {
	if err := l.roll(); err != nil {
		return err
	}
	return l.sync()
}

// remove deletes the oldest segment of a lane. Cursors that have not passed it (a full lane asks only those that are
// not optional) find out when they read on. newest is not older than any of its frames.
func (q *Queue) remove(l *lane, seg *segment, newest int64) error {
	if newest >= q.stamp.Load()-int64(repeatWindow) {
		if err := q.keepIDs(l, seg); err != nil && !isFull(err) {
			q.options.Logger.Warn("cannot delete a segment", "segment", seg.name, "err", err)
			return err
		}
	}
	l.forget(seg)
	if err := l.fs.Remove(seg.name); err != nil && !disk.IsNotExist(err) {
		// The next start finds it again, before every cursor, and tries again.
		q.options.Logger.Warn("cannot delete a segment", "segment", seg.name, "err", err)
	}
	return nil
}

// keepIDs writes the young IDs of a segment to its ID file.
func (q *Queue) keepIDs(l *lane, seg *segment) error {
	file, err := l.fs.Open(seg.name)
	if err != nil {
		return err
	}
	defer file.Close()
	oldest, newest := q.stamp.Load()-int64(repeatWindow), int64(0)
	payload := make([]byte, 8)
	_, err = walk(file, seg, l.place, seg.end, func(stamp int64, id [16]byte) {
		if stamp >= oldest {
			payload = append(binary.LittleEndian.AppendUint64(payload, uint64(stamp)), id[:]...)
			newest = max(newest, stamp)
		}
	})
	if err != nil || len(payload) == 8 {
		return err
	}
	binary.LittleEndian.PutUint64(payload, uint64(newest))
	name := filepath.Join(l.dir, fmt.Sprintf("%016x%s", seg.base, idsSuffix))
	if err := disk.WriteVersioned(l.fs, name, idsKind, idsVersion, payload); err != nil {
		return err
	}
	l.idFiles = append(l.idFiles, idFile{name, newest})
	return nil
}

// An idFile is an ID file on disk and the stamp of its youngest entry.
type idFile struct {
	name   string
	newest int64
}

// expireIDs deletes the ID files whose every entry is too old. Files are in lane order, so the old ones come first.
func (q *Queue) expireIDs(l *lane) {
	oldest := q.stamp.Load() - int64(repeatWindow)
	for len(l.idFiles) > 0 && l.idFiles[0].newest < oldest {
		if err := l.fs.Remove(l.idFiles[0].name); err != nil && !disk.IsNotExist(err) {
			return
		}
		l.idFiles = l.idFiles[1:]
	}
}

// loadIDs reads an ID file into the queue's memory. A damaged one is worth a warning and no more.
func (q *Queue) loadIDs(l *lane, name string) error {
	_, payload, err := disk.ReadVersioned(l.fs, name, idsKind, idsVersion)
	if err != nil {
		return err
	}
	if len(payload) < 8 || (len(payload)-8)%idsEntry != 0 {
		return fmt.Errorf("%s: %w", name, disk.ErrCorrupt)
	}
	newest := int64(binary.LittleEndian.Uint64(payload))
	l.idFiles = append(l.idFiles, idFile{name, newest})
	for p := payload[8:]; len(p) > 0; p = p[idsEntry:] {
		q.ids.add([16]byte(p[8:24]), int64(binary.LittleEndian.Uint64(p)))
	}
	return nil
}
