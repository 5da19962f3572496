package tail

import (
	"os"
	"slices"
	"time"
)

// count counts bytes that are known to have existed and that nobody can read any more.
func (f *Follower) count(a *Attempt, reason string, n int64) {
	if n <= 0 {
		return
	}
	f.o.Metrics.Lost.WithLabelValues(a.Namespace, a.Pod, a.Container.Container, reason).Add(float64(n))
	f.o.Logger.Warn("log bytes lost", "namespace", a.Namespace, "pod", a.Pod, "container", a.Container.Container,
		"restart", a.Restart, "reason", reason, "bytes", n)
}

// gap counts a gap of unknowable size, which lies between the last time the log was seen and now.
func (f *Follower) gap(a *Attempt, reason string) {
	f.o.Metrics.Gaps.WithLabelValues(reason).Inc()
	since := f.lastScan
	if a.restored && !a.sighted && !f.aliveUntil.IsZero() {
		since = f.aliveUntil
	}
	f.o.Logger.Warn("gap in a log", "namespace", a.Namespace, "pod", a.Pod, "container", a.Container.Container,
		"restart", a.Restart, "reason", reason, "from", since.UTC().Format(time.RFC3339Nano),
		"to", f.o.Now().UTC().Format(time.RFC3339Nano))
}

// lose gives up the rest of c: from where it was read to, or all of it.
func (f *Follower) lose(a *Attempt, c *chainFile, reason string) {
	if c.lost || a.done(c) {
		return
	}
	c.lost, c.lostFrom = true, 0
	switch {
	case c.seq == a.at.File:
		c.lostFrom = a.at.Offset
	case c.seq < a.at.File:
		c.lostFrom = c.known // read, but not known to be safe
	}
	f.count(a, reason, c.known-c.lostFrom)
	f.release(c)
	f.enqueue(a)
	f.stateDirty = true
}

// skipLost moves on behind a file that cannot be read any more. After a rewind, what had been read of it is lost too.
func (f *Follower) skipLost(a *Attempt, c *chainFile) bool {
	if !c.lost {
		if !f.missing(a, c) {
			return false
		}
	}
	if a.at.Offset < c.lostFrom {
		f.count(a, "rewound", c.lostFrom-a.at.Offset)
		c.lostFrom = a.at.Offset
	}
	if f.cutAll(a) {
		return false
	}
	a.moveTo(c.seq + 1)
	f.touch(a)
	return true
}

// missing handles a file that is neither held nor to be found under any name, and reports whether it is given up.
func (f *Follower) missing(a *Attempt, c *chainFile) bool {
	if c.listed {
		return false // it is there but cannot be opened now: a later scan will
	}
	f.lose(a, c, "deleted")
	return true
}

// lookForMissing draws the conclusions from what a complete listing did not show.
func (f *Follower) lookForMissing(a *Attempt) {
	newest := a.newest()
	for _, c := range a.chain {
		switch {
		case c.listed || c.lost || a.done(c):
		case c.src != nil:
			if info, err := c.src.Stat(); err == nil {
				c.unlinked = linkCount(info) == 0
				if c.gz == nil { // what was written since the last look is lost too, if it is
					c.known = max(c.known, info.Size())
				}
			}
		default:
			f.lose(a, c, "deleted")
			if c == newest || a.after(c).gapBefore {
				f.gap(a, "deleted")
			}
		}
	}
	for _, c := range a.chain {
		if c.gapBefore && !c.lost && c.seq >= a.at.File && !c.gapCounted {
			c.gapCounted = true
			f.gap(a, "rotated-away")
		}
	}
}

// forgetMissing gives up the attempts of the state file of which nothing was found, although everything could be read.
func (f *Follower) forgetMissing() {
	if len(f.failed) > 0 {
		return
	}
	for _, a := range f.attempts {
		if a.restored && !a.sighted {
			f.lookForMissing(a)
			f.enqueue(a)
		}
	}
}

// checkLateWrite counts what was written to a file after it was taken for finished: bytes that are there, but behind
// lines that were sent. With [Options.Settle] a hundred times what runtimes need this says that something is wrong.
func (f *Follower) checkLateWrite(a *Attempt, c *chainFile, s *sighting) {
	if a.done(c) && !c.lost && s.Size > c.known {
		f.count(a, "late-write", s.Size-c.known)
	}
}

// forget lets go of what is done: its descriptor at once, its identity once no name leads to it.
func (f *Follower) forget(a *Attempt) {
	if a.touched {
		return
	}
	a.chain = slices.DeleteFunc(a.chain, func(c *chainFile) bool {
		if !a.done(c) {
			return false
		}
		f.release(c)
		c.cuts = nil
		if c.listed {
			return false
		}
		if f.byPath[c.Path] == a {
			delete(f.byPath, c.Path)
		}
		return true
	})
	if len(a.chain) == 0 && !a.queued && !a.wantCut {
		delete(f.attempts, keyOfContainer(a.Container))
		delete(f.waiting, a)
		f.stateDirty = true
	}
}

// enforceOpenBytes bounds what deleted files keep of the disk: beyond the limit the oldest is read from its compressed
// copy if there is one, else it is given up and counted.
func (f *Follower) enforceOpenBytes() {
	type heldFile struct {
		a     *Attempt
		c     *chainFile
		bytes int64
		since time.Time
	}
	var held []heldFile
	total := int64(0)
	for _, a := range f.attempts {
		for _, c := range a.chain {
			if c.src == nil || c.listed && c.Kind == Live {
				continue
			}
			info, err := c.src.Stat()
			if err == nil && linkCount(info) == 0 {
				held = append(held, heldFile{a, c, info.Size(), changeTime(info)})
				total += info.Size()
			}
		}
	}
	if total <= f.o.OpenBytesLimit {
		return
	}
	slices.SortFunc(held, func(x, y heldFile) int { return x.since.Compare(y.since) })
	for _, h := range held {
		if total <= f.o.OpenBytesLimit {
			return
		}
		total -= h.bytes
		if !f.swapCompressed(h.c) {
			f.lose(h.a, h.c, "open-limit")
		}
	}
}

// swapCompressed goes on with the compressed copy of a file.
func (f *Follower) swapCompressed(c *chainFile) bool {
	if c.gzPath == "" || c.gz != nil {
		return false
	}
	src, err := os.Open(c.gzPath)
	if err != nil {
		return false
	}
	info, err := src.Stat()
	if err != nil || !slices.Contains(c.keys, keyOf(info)) {
		src.Close()
		return false
	}
	f.release(c)
	c.attach(src, info, Compressed)
	c.Path, c.Kind = c.gzPath, Compressed
	f.o.Metrics.OpenFiles.Inc()
	return true
}
