package pipeline

import (
	"bufio"
	"errors"
	"fmt"
	"syscall"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

const writeBuffer = 64 << 10

// A writer is the committer's side of a lane: the segment that is written to and what of it is not synced yet.
type writer struct {
	seg     *segment // nil: the next frame begins one
	file    disk.File
	buf     *bufio.Writer // small frames share a write; large bodies pass through it uncopied
	head    []byte
	next    uint64 // position of the next frame
	ordinal uint64 // frames written since the lane began
	stamp   int64  // of the newest group, for the header of the next segment

	// since the last sync that succeeded
	ids     [][16]byte
	fresh   []freshFrame
	frames  uint64
	touched bool
	err     error // the group has failed in this lane
}

// isFull reports that there is no space on the disk: nothing is broken, and it mends itself when somebody makes room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// pending is how many bytes are written and not synced.
func (l *lane) pending() int64 {
	if l.writer.seg == nil {
		return 0
	}
	return int64(l.writer.next - l.writer.seg.end)
}

// write appends a frame at the end of the lane; sync makes it safe. An error stays until the group has been settled.
func (l *lane) write(f *telemetry.Frame, stamp int64) error {
	w := &l.writer
	if w.err != nil {
		return w.err
	}
	w.touched, w.stamp = true, stamp
	if w.seg != nil && w.next > w.seg.base && w.seg.offset(w.next)+frameSize(f) > l.segmentBytes {
		w.err = l.roll()
	} else if w.seg == nil {
		w.err = l.begin()
	}
	if w.err != nil {
		return w.err
	}
	w.head = appendHead(w.head[:0], f, l.place, w.next, stamp)
	_, err := w.buf.Write(w.head)
	if err == nil {
		_, err = w.buf.Write(f.Body)
	}
	if err != nil {
		w.err = fmt.Errorf("cannot append to %s: %w", w.seg.name, err)
		return w.err
	}
	w.next += uint64(frameSize(f))
	w.frames++
	w.ordinal++
	w.ids = append(w.ids, f.ID)
	if f.Decoded != nil {
		x := newFresh(f, f.Decoded)
		x.frame.Position, x.frame.ReceivedUnixNano = w.next-uint64(frameSize(f)), stamp
		w.fresh = append(w.fresh, x)
	}
	return nil
}

// begin makes the next segment. Its name and header are durable only with the sync of its first group.
func (l *lane) begin() error {
	w := &l.writer
	seg := &segment{name: segmentName(l.dir, w.next), base: w.next, end: w.next, ordinal: w.ordinal, stamp: w.stamp}
	file, err := l.fs.Create(seg.name)
	if err != nil {
		return fmt.Errorf("cannot begin a segment: %w", err)
	}
	if _, err = file.Write(seg.header(l.place)); err == nil {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		file.Close()
		_ = l.fs.Remove(seg.name) // it is empty; the next attempt makes it anew
		return fmt.Errorf("cannot begin a segment: %w", err)
	}
	l.resume(seg, file)
	l.addSegment(seg)
	disk.Point("queue.segment.rolled")
	return nil
}

// resume goes on writing to seg.
func (l *lane) resume(seg *segment, file disk.File) {
	w := &l.writer
	w.seg, w.file = seg, file
	if w.buf == nil {
		w.buf = bufio.NewWriterSize(nil, writeBuffer)
	}
	w.buf.Reset(file)
}

// roll closes the segment, synced, and begins the next one.
func (l *lane) roll() error {
	if err := l.sync(); err != nil {
		return err
	}
	file := l.writer.file
	l.writer.seg, l.writer.file = nil, nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("cannot close a segment: %w", err)
	}
	return l.begin()
}

// flush hands what is buffered to the file system.
func (l *lane) flush() error {
	if err := l.writer.buf.Flush(); err != nil {
		return fmt.Errorf("cannot append to %s: %w", l.writer.seg.name, err)
	}
	return nil
}

// sync makes everything written safe and visible.
func (l *lane) sync() error {
	w := &l.writer
	if err := l.flush(); err != nil {
		return err
	}
	disk.Point("queue.append.written")
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("cannot sync %s: %w", w.seg.name, err)
	}
	disk.Point("queue.append.synced")
	l.publish(w.seg, w.next, w.frames, w.fresh)
	w.forget()
	return nil
}

// settle ends a group. After a failure the segment is sealed at its last synced frame and what came later is cut off;
// nobody has seen it, so its positions are given out again. (Going on in the same file was rejected: after a failed
// fdatasync the kernel may have dropped the bytes and call the file clean.)
func (l *lane) settle() {
	w := &l.writer
	if w.err != nil && w.seg != nil {
		seg, file := w.seg, w.file
		// Best effort: readers stop at seg.end whatever lies behind it, and a restart at the next segment's base.
		_ = file.Truncate(seg.offset(seg.end))
		file.Close()
		w.seg, w.file = nil, nil
		w.next = seg.end
		if !seg.durable {
			l.dropSegment(seg)
			_ = l.fs.Remove(seg.name)
			w.next++ // never twice the same name
		} else if seg.end == seg.base {
			w.next++
		}
	}
	if w.err != nil {
		w.ordinal -= w.frames
	}
	w.forget()
	w.touched, w.err = false, nil
}

// forget forgets what was written since the last sync.
func (w *writer) forget() {
	clear(w.fresh)
	w.ids, w.frames, w.fresh = w.ids[:0], 0, w.fresh[:0]
}
