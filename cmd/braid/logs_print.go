package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"time"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// errLimit says that a container has printed its --limit-bytes.
var errLimit = errors.New("the limit is reached")

// kubectlTime is RFC 3339 with all nine digits, as the kubelet prints time stamps.
const kubectlTime = "2006-01-02T15:04:05.000000000Z07:00"

// A linePrinter writes records as kubectl prints lines.
type linePrinter struct {
	out        *bufio.Writer
	timestamps bool
	prefix     bool
	namespaced bool // the prefix names the namespace too
	json       bool
	// merged says that lines of several containers alternate: a line without end is then ended before another one
	// begins. kubectl, which prints one container after the other, does not do that.
	merged           bool
	flush            bool // after each record
	palette          palette
	include, exclude []*regexp.Regexp

	limit   int64            // bytes of each container; 0: none
	written map[string]int64 // by source

	err  error  // of writing
	open string // source of the unfinished line that was printed last
	buf  []byte
}

func (o *logsOptions) printer(w io.Writer) *linePrinter {
	return &linePrinter{
		out: bufio.NewWriterSize(w, 64<<10), timestamps: o.timestamps, prefix: o.prefix, namespaced: o.allNamespaces,
		json: o.output == "json", flush: o.follow, palette: newPalette(o.color, w),
		include: o.includeExprs, exclude: o.excludeExps, limit: o.limitBytes, written: make(map[string]int64),
	}
}

// print writes r if the filters let it pass. It returns errLimit when nothing more of this container is to be printed.
func (p *linePrinter) print(r *telemetry.LogRecord) error {
	if !p.passes(r.Body) {
		return nil
	}
	var err error
	if p.json {
		err = p.printJSON(r)
	} else {
		err = p.printRaw(r)
	}
	if p.flush && (err == nil || errors.Is(err, errLimit)) {
		if flushErr := p.out.Flush(); flushErr != nil {
			err = flushErr
		}
	}
	if err != nil && !errors.Is(err, errLimit) {
		p.err = err
	}
	return err
}

// broken reports whether what is printed does not arrive any more.
func (p *linePrinter) broken() bool { return p.err != nil }

func (p *linePrinter) passes(body []byte) bool {
	for _, re := range p.exclude {
		if re.Match(body) {
			return false
		}
	}
	for _, re := range p.include {
		if re.Match(body) {
			return true
		}
	}
	return len(p.include) == 0
}

func (p *linePrinter) printJSON(r *telemetry.LogRecord) error {
	line := query.NewLogLine(r)
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	return e.Encode(&line)
}

// printRaw writes prefix, time and body. The limit counts what the kubelet would send: time, body and newline.
func (p *linePrinter) printRaw(r *telemetry.LogRecord) error {
	source := sourceOf(r.Resource)
	written := p.written[source]
	if p.limit > 0 && written >= p.limit {
		return errLimit
	}
	unfinished := source + r.Stream.String() + strconv.Itoa(r.Resource.Restart)
	p.buf = p.buf[:0]
	continued := p.open != "" && p.open == unfinished
	if p.open != "" && !continued && p.merged {
		p.buf = append(p.buf, '\n')
	}
	if p.prefix && !continued {
		p.buf = p.appendPrefix(p.buf, r.Resource)
	}
	start := len(p.buf)
	if p.timestamps && !continued {
		p.buf = append(eventTime(r).AppendFormat(p.buf, kubectlTime), ' ')
	}
	if p.limit > 0 { // counted as it was written, and cut anywhere
		p.buf = append(p.buf, r.Body...)
	} else {
		p.buf = p.palette.appendBody(p.buf, r)
	}
	p.open = ""
	if r.Flags&telemetry.Partial == 0 {
		p.buf = append(p.buf, '\n')
	} else {
		p.open = unfinished
	}
	full := false
	if left := p.limit - written; p.limit > 0 {
		full = int64(len(p.buf)-start) >= left
		p.buf = p.buf[:start+int(min(left, int64(len(p.buf)-start)))]
		p.written[source] = written + int64(len(p.buf)-start)
	}
	if _, err := p.out.Write(p.buf); err != nil {
		return err
	}
	if full {
		return errLimit
	}
	return nil
}

// appendPrefix writes what kubectl writes with --prefix, and the namespace before it where there are several.
func (p *linePrinter) appendPrefix(b []byte, r *telemetry.Resource) []byte {
	on, off := p.palette.pod(r)
	b = append(b, on...)
	b = append(b, '[')
	if p.namespaced {
		b = append(append(b, r.Namespace...), '/')
	}
	if r.Pod == "" { // no Kubernetes: what sent it is all there is
		b = append(append(b, "service/"...), r.Service...)
	} else {
		b = append(append(append(append(b, "pod/"...), r.Pod...), '/'), r.Container...)
	}
	b = append(b, ']')
	b = append(b, off...)
	return append(b, ' ')
}

// finish writes what is buffered.
func (p *linePrinter) finish() error { return p.out.Flush() }

// sourceOf names the container that a record comes from.
func sourceOf(r *telemetry.Resource) string {
	if r == nil {
		return "/"
	}
	return r.Namespace + "/" + r.Pod + "/" + r.Container + "/" + r.PodUID + "/" + r.Service
}

// eventTime is when the line was written, else when it was first seen.
func eventTime(r *telemetry.LogRecord) time.Time {
	if r.UnixNano == 0 {
		return time.Unix(0, r.ObservedUnixNano).UTC()
	}
	return time.Unix(0, r.UnixNano).UTC()
}
