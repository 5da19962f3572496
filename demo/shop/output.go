package shop

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/braidhq/braid/demo/ledger"
	"go.opentelemetry.io/otel/trace"
)

// An output is one stream of a service. Whatever it writes is a whole line, carries the service's next sequence number
// and stands in the ledger.
type output struct {
	stream string
	w      io.Writer
	book   *ledger.Writer
}

// write writes the line that render makes of its sequence number. A failed write stays in the ledger: to the service
// it was written, and whether it arrived is what the demo is about.
func (o *output) write(traceID string, isError bool, render func(seq uint64) string) {
	o.book.Line(o.stream, traceID, isError, func(seq uint64) []byte {
		line := []byte(render(seq) + "\n")
		_, _ = o.w.Write(line)
		return line[:len(line)-1]
	})
}

// plain writes every line of text as a line of its own, its number at the end.
func (o *output) plain(text string) {
	for line := range strings.Lines(text) {
		o.write("", false, func(seq uint64) string { return fmt.Sprintf("%s seq=%d", strings.TrimRight(line, "\n"), seq) })
	}
}

// A logger is a slog.Handler that adds seq, trace_id and span_id in front of a record's own attributes.
type logger struct {
	out    *output
	format func(io.Writer) slog.Handler
	with   []func(slog.Handler) slog.Handler // WithAttrs and WithGroup, in order
}

func newLogger(out *output, format func(io.Writer) slog.Handler) *slog.Logger {
	return slog.New(&logger{out: out, format: format})
}

func jsonFormat(w io.Writer) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
}

func logfmtFormat(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
}

// Enabled implements slog.Handler: every level is written.
func (l *logger) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *logger) Handle(ctx context.Context, r slog.Record) error {
	span := trace.SpanContextFromContext(ctx)
	traceID := ""
	if span.IsValid() {
		traceID = span.TraceID().String()
	}
	var err error
	l.out.write(traceID, r.Level >= slog.LevelError, func(seq uint64) string {
		var line strings.Builder
		h := l.format(&line)
		for _, with := range l.with {
			h = with(h)
		}
		numbered := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		numbered.AddAttrs(slog.Uint64("seq", seq))
		if span.IsValid() {
			numbered.AddAttrs(slog.String("trace_id", traceID), slog.String("span_id", span.SpanID().String()))
		}
		r.Attrs(func(a slog.Attr) bool { numbered.AddAttrs(a); return true })
		err = h.Handle(ctx, numbered)
		return strings.TrimSuffix(line.String(), "\n")
	})
	return err
}

// WithAttrs implements slog.Handler.
func (l *logger) WithAttrs(attrs []slog.Attr) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (l *logger) WithGroup(name string) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l *logger) and(with func(slog.Handler) slog.Handler) slog.Handler {
	chain := append(l.with[:len(l.with):len(l.with)], with)
	return &logger{out: l.out, format: l.format, with: chain}
}
