package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"
)

// A Writer writes one service's ledger. Its methods may be called concurrently and do not fail: the first error is
// kept for [Writer.Close], because a shop does not stop selling for its bookkeeping.
type Writer struct {
	mu     sync.Mutex
	file   io.WriteCloser // nil: only counting
	buf    *bufio.Writer
	totals Totals
	names  map[string]int // of the last Metrics entry
	err    error
}

// Create makes the ledger file path. With path "" the writer counts and keeps nothing.
func Create(path string) (*Writer, error) {
	if path == "" {
		return &Writer{}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot create the ledger: %w", err)
	}
	return &Writer{file: f, buf: bufio.NewWriterSize(f, 64<<10)}, nil
}

// Line calls write with the sequence number of the next line and enters the line that write says it has written,
// whole and without its newline. Lines are numbered in the order in which they were written.
func (w *Writer) Line(stream, traceID string, write func(seq uint64) (line []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Logs++
	line := write(w.totals.Logs)
	w.enter(Entry{Kind: Log, Seq: w.totals.Logs, Stream: stream, Sum: SumOf(line), Bytes: len(line), TraceID: traceID})
}

// Span enters one ended span; both ids are in hex.
func (w *Writer) Span(traceID, spanID, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Spans++
	w.enter(Entry{Kind: Span, TraceID: traceID, SpanID: spanID, Name: name})
}

// Metrics enters one body in a Prometheus text format.
func (w *Writer) Metrics(body []byte) {
	names := countNames(body)
	total := 0
	for _, n := range names {
		total += n
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Samples += uint64(total)
	e := Entry{Kind: Metrics, Samples: total}
	if !maps.Equal(names, w.names) {
		e.Names, w.names = names, names
	}
	w.enter(e)
}

// Totals returns what has been entered so far.
func (w *Writer) Totals() Totals {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.totals
}

// Flush hands what has been entered to the operating system.
func (w *Writer) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf != nil {
		w.keep(w.buf.Flush())
	}
}

// Close enters the totals and returns the first error of the ledger's life.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	totals := w.totals
	w.enter(Entry{Kind: End, Totals: &totals})
	w.keep(w.buf.Flush())
	w.keep(w.file.Close())
	return w.err
}

func (w *Writer) enter(e Entry) {
	if w.file == nil {
		return
	}
	line, err := json.Marshal(e)
	if err != nil {
		panic("BUG: a ledger entry has no JSON form: " + err.Error())
	}
	_, err = w.buf.Write(append(line, '\n'))
	w.keep(err)
}

func (w *Writer) keep(err error) {
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("cannot write the ledger: %w", err)
	}
}

// countNames counts the samples of each metric name in a body of the Prometheus or OpenMetrics text format: every line
// that is neither empty nor a comment is one sample, its exemplar included.
func countNames(body []byte) map[string]int {
	names := make(map[string]int)
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if i := bytes.IndexAny(line, "{ "); i > 0 {
			names[string(line[:i])]++
		}
	}
	return names
}
