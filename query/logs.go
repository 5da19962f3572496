package query

import (
	"bufio"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// logs answers with one LogLine a row. Once the first byte is out, an error is a last row {"error":…}.
func (h *handler) logs(w http.ResponseWriter, r *http.Request, rd *reader) error {
	q, err := logQuery(r, h.Now())
	if err != nil {
		return err
	}
	if q.Namespace == "" {
		rd.warn(w)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := newLineWriter(w)
	// The answer takes as long as its reader does; a server without deadlines has none to lift.
	_ = out.control.SetWriteDeadline(time.Time{})
	var flushing sync.WaitGroup
	stop := make(chan struct{})
	if q.Follow {
		if _, err := rd.logQuery(q); err != nil { // while it can still be refused
			w.Header().Del("Content-Type")
			return err
		}
		noteFollowing(r.Context())
		out.begin()
		flushing.Go(func() { out.flushSoon(stop) })
	}
	err = rd.logs(q, func(rec *telemetry.LogRecord) error {
		h.metrics.lines.Inc()
		return out.write(rec)
	})
	close(stop)
	flushing.Wait()
	if err != nil && !out.begun {
		w.Header().Del("Content-Type")
		return err
	}
	if err != nil {
		h.metrics.errors.WithLabelValues("logs").Inc()
		out.fail(h.told(r, err))
	}
	out.end()
	return nil
}

// A lineWriter writes rows and, while they are followed, flushes them as soon as the connection takes them: rows that
// come during a flush go out together with the next one.
type lineWriter struct {
	mu      sync.Mutex // guards the connection
	buf     *bufio.Writer
	enc     *json.Encoder
	control *http.ResponseController
	written chan struct{} // holds a token when there is something to flush
	line    LogLine
	begun   bool // a byte, or the header, may have gone out
	err     error
}

func newLineWriter(w http.ResponseWriter) *lineWriter {
	out := &lineWriter{
		buf: bufio.NewWriterSize(w, 32<<10), control: http.NewResponseController(w), written: make(chan struct{}, 1),
	}
	out.enc = json.NewEncoder(out.buf)
	out.enc.SetEscapeHTML(false)
	return out
}

// begin sends the header, so that a client knows that it is connected before there is a line.
func (o *lineWriter) begin() {
	o.begun = true
	o.err = o.control.Flush()
}

func (o *lineWriter) write(r *telemetry.LogRecord) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	o.begun = true
	o.line.set(r)
	if o.err = o.enc.Encode(&o.line); o.err != nil {
		return o.err
	}
	select {
	case o.written <- struct{}{}:
	default:
	}
	return nil
}

func (o *lineWriter) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = o.buf.Flush()
	}
	if o.err == nil {
		o.err = o.control.Flush()
	}
}

func (o *lineWriter) flushSoon(stop <-chan struct{}) {
	for {
		select {
		case <-o.written:
			o.flush()
		case <-stop:
			return
		}
	}
}

// fail writes the last row. A client that is gone does not read it.
func (o *lineWriter) fail(err error) {
	text := err.Error()
	if asAPIError(err).typ == "canceled" {
		text = "the server is stopping"
	}
	if o.err == nil {
		o.err = o.enc.Encode(struct {
			Error string `json:"error"`
		}{text})
	}
}

func (o *lineWriter) end() {
	if o.err == nil {
		o.err = o.buf.Flush()
	}
}
