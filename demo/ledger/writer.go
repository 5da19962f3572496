package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// A Writer writes one service's ledger. Its methods may be called concurrently and do not fail: the first error is
// kept for [Writer.Close], because a shop does not stop selling for its bookkeeping.
type Writer struct {
	mu     sync.Mutex
	file   io.WriteCloser // nil: only counting
	buf    *bufio.Writer
	totals Totals
	names  map[string]int // of the last Metrics entry
	traces []string       // that exemplars of the last Metrics entry name
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
// whole and without its newline; isError says that its level is error or above. Lines are numbered in the order in which
// they were written.
func (w *Writer) Line(stream, traceID string, isError bool, write func(seq uint64) (line []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Logs++
	line := write(w.totals.Logs)
	w.enter(Entry{
		Kind: Log, Time: time.Now(), Seq: w.totals.Logs, Stream: stream, Sum: SumOf(line), Bytes: len(line), TraceID: traceID, Error: isError,
	})
}

// An EndedSpan is what is entered of a span; both ids are in hex.
type EndedSpan struct {
	TraceID, SpanID, Name string
	Start, End            time.Time
	Error                 bool
}

// Span enters one ended span.
func (w *Writer) Span(s EndedSpan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Spans++
	w.enter(Entry{Kind: Span, Time: s.End, TraceID: s.TraceID, SpanID: s.SpanID, Name: s.Name, Start: s.Start, Error: s.Error})
}

// Sent enters that the agent has acknowledged the spans with these ids.
func (w *Writer) Sent(spanIDs []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enter(Entry{Kind: Sent, Time: time.Now(), Spans: spanIDs})
}

// Metrics enters one body in a Prometheus text format.
func (w *Writer) Metrics(body []byte) {
	names, traces := countNames(body), namedTraces(body)
	total := 0
	for _, n := range names {
		total += n
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Samples += uint64(total)
	e := Entry{Kind: Metrics, Time: time.Now(), Samples: total}
	for _, id := range traces {
		if _, before := slices.BinarySearch(w.traces, id); !before {
			e.Traces = append(e.Traces, id)
		}
	}
	w.traces = traces
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

// namedTraces returns the trace ids of the exemplars in a body of the OpenMetrics text format, each once and in order.
func namedTraces(body []byte) (ids []string) {
	const label = ` # {trace_id="`
	for line := range bytes.Lines(body) {
		if i := bytes.LastIndex(line, []byte(label)); i > 0 && line[0] != '#' {
			id, _, _ := bytes.Cut(line[i+len(label):], []byte{'"'})
			ids = append(ids, string(id))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
