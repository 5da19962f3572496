package format

import (
	"bytes"

	"github.com/braidhq/braid/telemetry"
)

// DefaultLimit is the default bound of a record's body in bytes.
const DefaultLimit = 1 << 20

// A Mark is a place in the files of one container attempt. File numbers them in the order they were written; the
// caller gives the numbers. Offset counts uncompressed bytes.
type Mark struct {
	File   int
	Offset int64
}

// Before reports whether m comes before n.
func (m Mark) Before(n Mark) bool {
	return m.File < n.File || m.File == n.File && m.Offset < n.Offset
}

// A Record is one line as the program wrote it.
type Record struct {
	UnixNano  int64 // of the first piece; 0 if the format has none or the line is malformed
	Stream    telemetry.Stream
	Flags     telemetry.LogFlags // Truncated, Partial
	Malformed bool               // Body is the raw physical line
	Start     Mark               // where the first piece begins
	End       Mark               // behind the last piece (its newline included)
	Body      []byte             // aliases the chunk or a spare: valid until either is given up
}

// A Cut is a place at which a line that has no end is emitted as it is. Decoding the same bytes with the same cuts gives
// the same records.
type Cut struct {
	Stream telemetry.Stream
	End    Mark
}

// A Resume is from where decoding must start again to see every record that was not emitted yet: the beginning of
// the oldest open line, and which streams are in the rest of a truncated line there.
type Resume struct {
	Mark
	Skip [3]bool // by telemetry.Stream
}

// A Decoder makes records of the chunks of one attempt's files. Per chunk: [Decoder.Feed], [Decoder.Next] until it
// returns false, then what [Decoder.Consumed] leaves must begin the next chunk. Lines that the runtime split stay open
// across chunks and files.
//
// A body longer than the limit is emitted at the piece that crosses it, flagged Truncated, and the rest of that line is
// skipped: neither memory nor the resume point waits for the end of a line that may never come.
type Decoder struct {
	format Format
	limit  int
	spares *Spares

	buf  []byte
	pos  int
	base int64
	file int
	cuts []Cut

	open [3]partial // by telemetry.Stream
	skip [3]bool
	prev telemetry.Stream // whose open line the last physical line in buf belongs to: it can grow in place

	lines int64
}

// partial is a line whose end has not come yet.
type partial struct {
	open     bool
	inBuf    bool // body aliases buf and may grow there while it is prev
	unixNano int64
	start    Mark
	end      Mark
	skip     [3]bool // the decoder's when the line was opened
	body     []byte
}

// NewDecoder returns a decoder at the beginning of an attempt. A limit of 0 means [DefaultLimit].
func NewDecoder(f Format, limit int, spares *Spares) *Decoder {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Decoder{format: f, limit: limit, spares: spares}
}

// Limit returns the bound of a record's body in bytes.
func (d *Decoder) Limit() int { return d.limit }

// Reset drops every open line and makes the decoder ready for the bytes at r.
func (d *Decoder) Reset(r Resume) {
	for i := range d.open {
		if d.open[i].body != nil && !d.open[i].inBuf {
			d.spares.Lend(d.open[i].body)
		}
		d.open[i] = partial{}
	}
	d.skip, d.file, d.base, d.buf, d.pos = r.Skip, r.File, r.Offset, nil, 0
}

// Feed gives the decoder the bytes at offset base of a file, and the cuts of that file. The decoder writes into buf and
// records alias it.
func (d *Decoder) Feed(buf []byte, at Mark, cuts []Cut) {
	d.buf, d.pos, d.base, d.file, d.cuts = buf, 0, at.Offset, at.File, cuts
	d.prev = telemetry.UnknownStream
}

// Next decodes up to the end of the next record. It returns false when the chunk has no complete physical line left.
func (d *Decoder) Next(r *Record) bool {
	for {
		n := bytes.IndexByte(d.buf[d.pos:], '\n')
		if n < 0 {
			d.park()
			return false
		}
		line := d.buf[d.pos : d.pos+n]
		start := d.base + int64(d.pos)
		d.pos += n + 1
		if d.line(line, start, start+int64(n)+1, r) {
			return true
		}
	}
}

// Tail takes what is left of the chunk as a physical line that lost its newline, and the end of its file as its end.
// It is flagged Partial if it makes a record.
func (d *Decoder) Tail(r *Record) bool {
	line := d.buf[d.pos:]
	if len(line) == 0 {
		return false
	}
	start := d.base + int64(d.pos)
	d.pos = len(d.buf)
	ok := d.line(line, start, start+int64(len(line)), r)
	if ok {
		r.Flags |= telemetry.Partial
	}
	d.park()
	return ok
}

// Long takes a physical line that is longer than any chunk: its beginning, and where it begins and ends in the file.
// The caller lends line to the spares. Nothing may be fed and not consumed.
func (d *Decoder) Long(line []byte, start Mark, end int64, r *Record) bool {
	d.Feed(nil, Mark{start.File, end}, nil)
	ok := d.line(line, start.Offset, end, r)
	if ok {
		r.Flags |= telemetry.Truncated
	}
	d.park()
	return ok
}

// Consumed returns the offset behind the last complete physical line.
func (d *Decoder) Consumed() Mark { return Mark{d.file, d.base + int64(d.pos)} }

// Lines returns the number of physical lines decoded, ever.
func (d *Decoder) Lines() int64 { return d.lines }

// Resume returns from where decoding would have to start again. Not valid between Feed and the Next that returns false.
func (d *Decoder) Resume() Resume {
	r := Resume{d.Consumed(), d.skip}
	for i := range d.open {
		if o := &d.open[i]; o.open && o.start.Before(r.Mark) {
			r = Resume{o.start, o.skip}
		}
	}
	return r
}

// Open returns the cut that would end the open line of a stream, if there is one.
func (d *Decoder) Open(s telemetry.Stream) (Cut, bool) {
	return Cut{s, d.open[s].end}, d.open[s].open
}

// Cut emits the open line of a stream as it is, flagged Partial.
func (d *Decoder) Cut(s telemetry.Stream, r *Record) bool {
	o := &d.open[s]
	if !o.open {
		return false
	}
	d.emit(s, r)
	r.Flags |= telemetry.Partial
	return true
}

// line handles one physical line and reports whether it ended a record.
func (d *Decoder) line(line []byte, start, end int64, r *Record) bool {
	d.lines++
	var p Piece
	from, to := Mark{d.file, start}, Mark{d.file, end}
	if !d.format.Split(line, &p) {
		d.prev = telemetry.UnknownStream
		*r = Record{Malformed: true, Start: from, End: to, Body: line}
		d.truncate(r)
		return true
	}
	s := p.Stream
	o := &d.open[s]
	if d.skip[s] {
		d.skip[s], d.prev = p.Partial, telemetry.UnknownStream
		return false
	}
	if !o.open && !p.Partial {
		d.prev = telemetry.UnknownStream
		*r = Record{UnixNano: p.UnixNano, Stream: s, Start: from, End: to, Body: p.Body}
		d.truncate(r)
		return true
	}
	d.grow(s, &p, from)
	o.end = to
	if over := len(o.body) > d.limit; !p.Partial || over {
		d.emit(s, r)
		d.truncate(r)
		d.skip[s] = p.Partial
		return true
	}
	for i := range d.cuts {
		if d.cuts[i].Stream == s && d.cuts[i].End == to {
			return d.Cut(s, r)
		}
	}
	return false
}

// grow opens the stream's line with the piece, or appends the piece to it: in place when nothing that is still in use
// lies between them in the buffer, else in a spare.
func (d *Decoder) grow(s telemetry.Stream, p *Piece, from Mark) {
	o := &d.open[s]
	switch {
	case !o.open:
		*o = partial{open: true, inBuf: true, unixNano: p.UnixNano, start: from, skip: d.skip, body: p.Body}
	case o.inBuf && d.prev == s:
		n := len(o.body)
		o.body = o.body[:n+len(p.Body)]
		copy(o.body[n:], p.Body)
	default:
		d.toSpare(o, len(p.Body))
		// One byte past the limit is enough to know that it was crossed.
		room := max(0, d.limit+1-len(o.body))
		o.body = append(o.body, p.Body[:min(room, len(p.Body))]...)
	}
	d.prev = s
}

func (d *Decoder) toSpare(o *partial, more int) {
	if !o.inBuf {
		return
	}
	o.body = append(d.spares.Get(len(o.body)+more), o.body...)
	o.inBuf = false
}

// park moves open lines out of the buffer, which the caller is about to use for something else.
func (d *Decoder) park() {
	for i := range d.open {
		if d.open[i].open {
			d.toSpare(&d.open[i], 0)
		}
	}
	d.prev = telemetry.UnknownStream
}

// emit closes the stream's line into r.
func (d *Decoder) emit(s telemetry.Stream, r *Record) {
	o := &d.open[s]
	*r = Record{UnixNano: o.unixNano, Stream: s, Start: o.start, End: o.end, Body: o.body}
	if !o.inBuf {
		d.spares.Lend(o.body)
	}
	*o = partial{}
	d.prev = telemetry.UnknownStream
}

func (d *Decoder) truncate(r *Record) {
	if len(r.Body) > d.limit {
		r.Body = r.Body[:d.limit]
		r.Flags |= telemetry.Truncated
	}
}
