package tail

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

// atEnd decides what to do where a file has no more complete lines; rest is the number of bytes behind the last one.
// It reports whether there is something to read now.
func (f *Follower) atEnd(a *Attempt, c *chainFile, rest int64) bool {
	next := a.after(c)
	final, rest, wait := f.final(a, c, next, rest)
	if wait > 0 {
		f.wait(a, f.o.Now().Add(wait))
	}
	if !final {
		f.cutIdle(a)
		return false
	}
	if rest > 0 && c.torn == 0 && c.hasID {
		c.torn = a.at.Offset + rest
		f.wantCut(a)
		return false
	}
	// The last words of an attempt, or of what comes before a gap, get no end any more. All others go on in the next file.
	if (next == nil || next.gapBefore) && f.cutAll(a) {
		return false
	}
	if next == nil && !c.unlinked {
		return false // the last file of an attempt that is over: nothing more to do until it is deleted
	}
	if !c.hasID {
		f.count(a, "no-newline", rest)
	}
	a.moveTo(c.seq + 1)
	f.touch(a)
	return true
}

// final reports whether nothing will be written to c any more; if that is a question of time, it says of how long.
// It corrects rest for what was written since c was read.
func (f *Follower) final(a *Attempt, c, next *chainFile, rest int64) (final bool, newRest int64, wait time.Duration) {
	if c.gz != nil {
		return true, rest, 0
	}
	info, err := c.src.Stat()
	if err != nil {
		f.problem("read", c.Path, err)
		return false, rest, time.Second
	}
	if info.Size() < a.at.Offset {
		f.truncated(a, c)
		return false, rest, 0
	}
	if !c.hasID {
		rest = info.Size()
	}
	c.unlinked = linkCount(info) == 0
	switch {
	case next != nil:
		// The writer has the new file open once that has content. Its other stream may be a moment behind.
		if a.after(next) == nil && !f.grown(next) {
			return false, rest, 0
		}
	case !a.over && !(c.unlinked && gone(c)):
		return false, rest, 0
	}
	if info.Size() > a.at.Offset+rest {
		f.enqueue(a) // it has grown since it was read
		return false, rest, 0
	}
	if left := f.o.Settle - f.o.Now().Sub(changeTime(info)); left > 0 {
		return false, rest, left
	}
	return true, rest, 0
}

// gone reports that c's directory is gone: as long as it is there, a writer may go on in a deleted file.
func gone(c *chainFile) bool {
	_, err := os.Lstat(filepath.Dir(c.Path))
	return errors.Is(err, os.ErrNotExist)
}

// grown reports that c has content.
func (f *Follower) grown(c *chainFile) bool {
	if c.known > 0 || c.src == nil {
		return true
	}
	info, err := c.src.Stat()
	return err == nil && info.Size() > 0
}

// truncated handles a file that was emptied in place (copytruncate): what is in it now is another file, and what may
// have been written between our last read and the truncation is gone.
func (f *Follower) truncated(a *Attempt, c *chainFile) {
	f.gap(a, "truncated")
	f.count(a, "truncated", c.known-a.at.Offset)
	info, err := c.src.Stat()
	if err != nil {
		f.problem("read", c.Path, err)
		return
	}
	c.lost, c.lostFrom = true, max(c.known, a.at.Offset)
	again := &chainFile{File: c.File, gapBefore: true, gapCounted: true, listed: c.listed}
	again.attach(c.src, info, c.Kind)
	again.known = info.Size()
	c.src, c.held = nil, nil
	a.append(again)
	f.enqueue(a)
}

// wantCut queues the attempt for a cut. Nothing of it is read until the cut is synced.
func (f *Follower) wantCut(a *Attempt) {
	if !a.wantCut {
		a.wantCut = true
		f.cutting = append(f.cutting, a)
		f.stateDirty = true
	}
}

// cutAll asks for a cut of every open line and reports whether there is one.
func (f *Follower) cutAll(a *Attempt) bool {
	found := false
	for s := telemetry.Stdout; s <= telemetry.Stderr; s++ {
		if cut, ok := a.dec.Open(s); ok {
			a.addCut(cut)
			f.wantCut(a)
			found = true
		}
	}
	return found
}

// cutIdle asks for a cut of the lines that have been open for too long, and to be woken when the others will be.
func (f *Follower) cutIdle(a *Attempt) {
	now := f.o.Now()
	for s := telemetry.Stdout; s <= telemetry.Stderr; s++ {
		cut, ok := a.dec.Open(s)
		if !ok {
			a.openEnd[s] = format.Mark{}
			continue
		}
		if a.openEnd[s] != cut.End {
			a.openEnd[s], a.openSince[s] = cut.End, f.lastWrite(a, cut.End, now)
		}
		if due := a.openSince[s].Add(f.o.IdleCut); now.Before(due) {
			f.wait(a, due)
		} else {
			a.addCut(cut)
			f.wantCut(a)
		}
	}
}

// lastWrite returns when a file was written last if the open line is all that it ends with, else now: after a restart
// an old file's last words need not wait again.
func (f *Follower) lastWrite(a *Attempt, end format.Mark, now time.Time) time.Time {
	if end != a.at {
		return now
	}
	c := a.file(end.File)
	if c == nil || c.src == nil {
		return now
	}
	info, err := c.src.Stat()
	if err != nil || info.ModTime().After(now) {
		return now
	}
	return info.ModTime()
}

func (a *Attempt) addCut(cut format.Cut) {
	if c := a.file(cut.End.File); !c.hasCut(cut) {
		c.cuts = append(c.cuts, cut)
	}
}

func (c *chainFile) hasCut(cut format.Cut) bool { return slices.Contains(c.cuts, cut) }

// undoCut takes back cuts that could not be synced.
func (a *Attempt) undoCut() {
	a.wantCut = false
	if c := a.file(a.at.File); c != nil && c.torn > a.at.Offset {
		c.torn = 0
	}
	for s := telemetry.Stdout; s <= telemetry.Stderr; s++ {
		if cut, ok := a.dec.Open(s); ok {
			c := a.file(cut.End.File)
			c.cuts = slices.DeleteFunc(c.cuts, func(x format.Cut) bool { return x == cut })
		}
	}
}
