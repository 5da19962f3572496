package tail

import (
	"errors"
	"io"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

// A pass is one call of Collect.
type pass struct {
	buf     []byte
	records int
	emit    Emit
	rec     format.Record
}

// minRead is the least room worth a read.
const minRead = 16 << 10

// Collect reads what is new into buf, shared among all files, and emits its records until buf or maxRecords is used up.
// It reports whether there may be more. Everything emitted must be answered by Ack or Rewind, also if that is nothing;
// until then Collect may be called again with another buffer.
func (f *Follower) Collect(buf []byte, maxRecords int, emit Emit) (more bool) {
	p := &pass{buf: buf, emit: emit}
	f.cutOpenLines(p)
	for len(f.queue) > 0 && len(p.buf) >= minRead && p.records < maxRecords {
		a := f.queue[0]
		f.queue = f.queue[1:]
		a.queued = false
		if again, room := f.read(p, a); again {
			f.enqueue(a)
			if !room {
				break
			}
		}
	}
	f.o.Metrics.Read.Add(float64(p.records))
	return f.Pending()
}

// read reads at most one chunk of an attempt. again asks for another call; room is false if that needs a larger buffer
// than what is left.
func (f *Follower) read(p *pass, a *Attempt) (again, room bool) {
	delete(f.waiting, a) // what it waited for is found again if it is still to come
	c := a.current()
	if c == nil || a.wantCut {
		return false, true
	}
	if c.lost || c.src == nil {
		return f.skipLost(a, c), true
	}
	if !c.hasID {
		if err := f.identify(a, c); err != nil {
			return f.unreadable(a, c, err), true
		}
		if !c.hasID {
			return f.atEnd(a, c, 0), true
		}
	}
	chunk := p.buf[:min(len(p.buf), MaxChunk)]
	if c.torn > 0 {
		chunk = chunk[:max(0, min(int64(len(chunk)), c.torn-a.at.Offset))]
	}
	n, err := c.readAt(chunk, a.at.Offset)
	if err != nil && !errors.Is(err, io.EOF) && n == 0 {
		return f.unreadable(a, c, err), true
	}
	read := f.decode(p, a, c, chunk[:n:n])
	p.buf = p.buf[read:]
	full := n == len(chunk) && n > 0
	if full && read == 0 && c.torn == 0 {
		if len(chunk) < MaxChunk {
			return true, false
		}
		return f.readLong(p, a, c), true
	}
	if full && (c.torn == 0 || read > 0) {
		return true, true
	}
	rest := int64(n - read)
	c.known = max(c.known, a.at.Offset+rest)
	if c.torn > 0 {
		if a.at.Offset+rest < c.torn && len(chunk) < MaxChunk {
			return true, false
		}
		f.readTail(p, a, c, chunk[read:n:n])
		rest = 0
	}
	return f.atEnd(a, c, rest), true
}

// decode emits the records of the complete lines of chunk, which is at a.at, and returns how long these are.
func (f *Follower) decode(p *pass, a *Attempt, c *chainFile, chunk []byte) int {
	before := a.dec.Lines()
	a.dec.Feed(chunk, a.at, c.cuts)
	for a.dec.Next(&p.rec) {
		f.deliver(p, a)
	}
	read := int(a.dec.Consumed().Offset - a.at.Offset)
	if read > 0 {
		a.at = a.dec.Consumed()
		f.touch(a)
		c.known = max(c.known, a.at.Offset)
	}
	f.countRead(a, before, read)
	return read
}

func (f *Follower) countRead(a *Attempt, linesBefore int64, bytesRead int) {
	f.o.Metrics.Lines.Add(float64(a.dec.Lines() - linesBefore))
	f.o.Metrics.Bytes.Add(float64(bytesRead))
}

// deliver emits the decoded record unless it is known to be safe: after a restart or a rewind, reading begins at the
// oldest open line, and the other stream's lines behind that have been sent.
func (f *Follower) deliver(p *pass, a *Attempt) {
	c := a.file(p.rec.End.File)
	if c == nil {
		panic("BUG: a record ends in a file that is no longer in the chain")
	}
	if p.rec.End.Offset <= c.acked[p.rec.Stream] {
		return
	}
	c.sent[p.rec.Stream] = p.rec.End.Offset
	p.records++
	m := f.o.Metrics
	if p.rec.Flags&telemetry.Truncated != 0 {
		m.Flagged.WithLabelValues("truncated").Inc()
	}
	if p.rec.Flags&telemetry.Partial != 0 {
		m.Flagged.WithLabelValues("partial").Inc()
	}
	if p.rec.Malformed {
		m.Flagged.WithLabelValues("malformed").Inc()
	}
	p.emit(a, c.id, &p.rec)
}

// readTail emits the line at the end of a file that will not get its newline any more; rest is its beginning if it is
// longer than a chunk.
func (f *Follower) readTail(p *pass, a *Attempt, c *chainFile, rest []byte) {
	var ok bool
	if a.at.Offset+int64(len(rest)) < c.torn {
		ok = a.dec.Long(rest, a.at, c.torn, &p.rec)
	} else {
		a.dec.Feed(rest, a.at, c.cuts)
		ok = a.dec.Tail(&p.rec)
	}
	if ok {
		f.deliver(p, a)
	}
	p.buf = p.buf[len(rest):]
	a.at = a.dec.Consumed()
	f.touch(a)
}

// headSlack is more than what a physical line has before its text.
const headSlack = 4 << 10

// readLong handles a physical line that fits no chunk: its beginning goes into a spare, its end is searched chunk by
// chunk, so that memory is bounded by the limit however long it gets. It reports whether the line's end was found.
func (f *Follower) readLong(p *pass, a *Attempt, c *chainFile) bool {
	if a.long.start != a.at || a.long.scanned == 0 {
		a.long = longLine{a.at, a.at.Offset}
	}
	for {
		chunk := p.buf[:MaxChunk]
		n, err := c.readAt(chunk, a.long.scanned)
		i := indexNewline(chunk[:n])
		if i >= 0 {
			a.long.scanned += int64(i) + 1
			break
		}
		a.long.scanned += int64(n)
		if err != nil || n == 0 {
			c.known = max(c.known, a.long.scanned)
			return f.atEnd(a, c, a.long.scanned-a.at.Offset)
		}
	}
	end := a.long.scanned
	size := min(int64(a.dec.Limit()+headSlack), end-1-a.at.Offset)
	line := f.spares.Get(int(size))[:size]
	f.spares.Lend(line)
	if _, err := c.readAt(line, a.at.Offset); err != nil {
		return f.unreadable(a, c, err)
	}
	f.touch(a)
	c.known = max(c.known, end)
	before := a.dec.Lines()
	var ok bool
	if size == end-1-a.at.Offset {
		// It fits the limit after all, with its newline put back.
		line = append(line, '\n')
		a.dec.Feed(line, a.at, c.cuts)
		ok = a.dec.Next(&p.rec)
		if ok {
			f.deliver(p, a)
			ok = a.dec.Next(&p.rec)
		}
	} else {
		ok = a.dec.Long(line, a.at, end, &p.rec)
	}
	if ok {
		f.deliver(p, a)
	}
	f.countRead(a, before, int(end-a.at.Offset))
	a.at, a.long = a.dec.Consumed(), longLine{}
	return true
}

// unreadable handles a file whose content cannot be read: the error is counted, and reading is tried again after a
// while. A broken compressed file has an end there.
func (f *Follower) unreadable(a *Attempt, c *chainFile, err error) bool {
	f.problem("read", c.Path, err)
	if c.gz != nil {
		f.gap(a, "corrupt-gzip")
		f.lose(a, c, "corrupt-gzip")
		return true
	}
	f.wait(a, f.o.Now().Add(time.Second))
	return false
}

// cutOpenLines emits the lines that waited for their end for too long, once the state that says so is synced: after a
// crash the same bytes are cut in the same places.
func (f *Follower) cutOpenLines(p *pass) {
	if len(f.cutting) == 0 {
		return
	}
	if err := f.Save(); err != nil {
		for _, a := range f.cutting {
			a.undoCut()
			f.wait(a, f.o.Now().Add(time.Second))
		}
		clear(f.cutting)
		f.cutting = f.cutting[:0]
		return
	}
	disk.Point("agent.cut.synced")
	for _, a := range f.cutting {
		a.wantCut = false
		for s := telemetry.Stdout; s <= telemetry.Stderr; s++ {
			cut, open := a.dec.Open(s)
			if !open || !a.file(cut.End.File).hasCut(cut) {
				continue
			}
			if a.dec.Cut(s, &p.rec) {
				f.touch(a)
				f.deliver(p, a)
			}
		}
		f.enqueue(a)
	}
	clear(f.cutting)
	f.cutting = f.cutting[:0]
}
