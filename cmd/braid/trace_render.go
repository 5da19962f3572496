package main

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// barWidth is the width of the time axis in cells.
const barWidth = 32

// A waterfall draws a trace: one row for each span and line, the time axis in the middle.
type waterfall struct {
	view    *query.TraceView
	palette palette
	top     []*traceItem

	start    time.Time
	length   time.Duration
	names    int  // width of the column of services
	critical bool // some span says when the trace waited for it
	out      bytes.Buffer
}

func newWaterfall(v *query.TraceView, p palette) *waterfall {
	w := &waterfall{view: v, palette: p, top: traceTree(v)}
	var end time.Time
	reach := func(from, to time.Time) {
		if w.start.IsZero() || (!from.IsZero() && from.Before(w.start)) {
			w.start = from
		}
		if to.After(end) {
			end = to
		}
	}
	for i := range v.Spans {
		s := &v.Spans[i]
		reach(s.Start, s.Start.Add(time.Duration(s.DurationNano)))
		w.names = max(w.names, utf8.RuneCountInString(serviceOf(s)))
		w.critical = w.critical || len(s.Critical) > 0
	}
	if len(v.Spans) == 0 { // lines alone have an axis too
		for i := range v.Logs {
			at := newLineItem(&v.Logs[i]).at
			reach(at, at)
		}
	}
	w.names = max(w.names, len("SERVICE"))
	w.length = end.Sub(w.start)
	return w
}

func (w *waterfall) render() []byte {
	w.summary()
	fmt.Fprintf(&w.out, "\n%10s %10s  %s  %-*s  %s\n", "OFFSET", "DURATION", strings.Repeat(" ", barWidth+2), w.names, "SERVICE", "SPAN")
	for _, item := range w.top {
		w.item(item, "", "")
	}
	if len(w.view.Logs) > 0 {
		fmt.Fprintf(&w.out, "\nLines whose span is not stored:\n")
		for i := range w.view.Logs {
			w.item(newLineItem(&w.view.Logs[i]), "", "")
		}
	}
	if w.view.Hidden != nil {
		fmt.Fprintf(&w.out, "\nNot shown: %s\n", w.view.Hidden)
	}
	w.around()
	return w.out.Bytes()
}

func (w *waterfall) summary() {
	services, failed, lines := make(map[string]bool), 0, len(w.view.Logs)
	for i := range w.view.Spans {
		s := &w.view.Spans[i]
		services[serviceOf(s)] = true
		lines += len(s.Logs)
		if s.Status == "error" {
			failed++
		}
	}
	fmt.Fprintf(&w.out, "trace %s  %s  %s  %s, %s, %s", w.view.TraceID, w.start.UTC().Format("2006-01-02T15:04:05.000Z"),
		shortDuration(w.length), plural(len(w.view.Spans), "span"), plural(len(services), "service"), plural(lines, "line"))
	if failed > 0 {
		w.out.WriteString("  " + w.palette.wrap(colorError, plural(failed, "error")))
	}
	w.out.WriteByte('\n')
	w.criticalPath()
}

// item draws an item and what lies below it. first leads its own row, rest the rows below.
func (w *waterfall) item(item *traceItem, first, rest string) {
	if item.span == nil {
		w.line(item, first, rest)
		return
	}
	w.span(item, first)
	for i, below := range item.below {
		switch {
		case below.span == nil:
			// A line stands beside the branches that are still to come.
			lead := "   "
			if spansLeft(item.below[i:]) {
				lead = "│  "
			}
			w.item(below, rest+lead, rest+lead)
		case spansLeft(item.below[i+1:]):
			w.item(below, rest+"├─ ", rest+"│  ")
		default:
			w.item(below, rest+"└─ ", rest+"   ")
		}
	}
}

func spansLeft(items []*traceItem) bool {
	for _, i := range items {
		if i.span != nil {
			return true
		}
	}
	return false
}

func (w *waterfall) span(item *traceItem, lead string) {
	s := item.span
	color := ""
	if s.Status == "error" {
		color = colorError
	}
	service := serviceOf(s)
	on, off := w.palette.pod(&telemetry.Resource{Service: service})
	fmt.Fprintf(&w.out, "%10s %10s  %s  %s%-*s%s  %s%s", shortDuration(s.Start.Sub(w.start)), shortDuration(time.Duration(s.DurationNano)),
		w.bar(s, color), on, w.names, service, off, lead, w.palette.wrap(color, printable(s.Name)))
	if s.Kind != "" && s.Kind != "internal" && s.Kind != "unspecified" {
		w.out.WriteString(" " + w.palette.wrap(colorDim, "("+s.Kind+")"))
	}
	if s.Status == "error" {
		w.out.WriteString(" " + w.palette.wrap(color, strings.TrimSpace("ERROR "+printable(s.StatusMessage))))
	}
	if item.orphan {
		w.out.WriteString(" " + w.palette.wrap(colorDim, "[parent "+printable(s.ParentID)+" is not stored]"))
	}
	w.out.WriteByte('\n')
}

// line draws a log line: where it lies on the axis, its severity, its first row of text and then the others.
func (w *waterfall) line(item *traceItem, lead, rest string) {
	l := item.line
	color := ""
	switch l.Severity {
	case "error", "fatal":
		color = colorError
	case "warn":
		color = colorWarn
	}
	if item.nearby {
		color, lead, rest = colorDim, w.palette.wrap(colorDim, lead), w.palette.wrap(colorDim, rest)
	}
	body := l.Body
	if l.BodyBase64 != nil {
		body = string(l.BodyBase64)
	}
	for i, row := range strings.Split(strings.TrimRight(body, "\n"), "\n") {
		offset, axis, severity := "", strings.Repeat(" ", barWidth+2), ""
		if i == 0 {
			offset, axis, severity = shortDuration(item.at.Sub(w.start)), w.mark(item.at), l.Severity
		}
		fmt.Fprintf(&w.out, "%10s %10s  %s  %s  %s%s\n", offset, "", axis,
			w.palette.wrap(color, fmt.Sprintf("%-*s", w.names, severity)), lead, w.palette.wrap(color, printable(row)))
		lead = rest
	}
}

// bar draws a span on the axis: at least one cell, and inside it even if its clock disagrees with the others'; full
// where the trace waited for it.
func (w *waterfall) bar(s *query.SpanView, color string) string {
	from := w.cell(s.Start)
	to := max(from+1, w.cell(s.Start.Add(time.Duration(s.DurationNano)))+1)
	to = min(to, barWidth)
	path := w.onPath(s)
	var cells strings.Builder
	for i := from; i < to; {
		start := i
		for i < to && path[i] == path[start] {
			i++
		}
		if path[start] {
			cells.WriteString(w.palette.wrap(color, strings.Repeat("█", i-start)))
		} else {
			cells.WriteString(w.palette.wrap(cmp.Or(color, colorDim), strings.Repeat("░", i-start)))
		}
	}
	return "|" + strings.Repeat(" ", from) + cells.String() + strings.Repeat(" ", barWidth-to) + "|"
}

func (w *waterfall) mark(at time.Time) string {
	cell := w.cell(at)
	return "|" + strings.Repeat(" ", cell) + "·" + strings.Repeat(" ", barWidth-cell-1) + "|"
}

func (w *waterfall) cell(at time.Time) int {
	if w.length <= 0 {
		return 0
	}
	c := int(float64(at.Sub(w.start)) / float64(w.length) * barWidth)
	return min(max(c, 0), barWidth-1)
}

func serviceOf(s *query.SpanView) string {
	if s.Service != "" {
		return printable(s.Service)
	}
	return printable(s.Pod)
}

// shortDuration keeps about four digits.
func shortDuration(d time.Duration) string {
	switch abs := d.Abs(); {
	case abs >= 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	case abs >= time.Second:
		return d.Round(time.Millisecond).String()
	case abs >= 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case abs >= time.Millisecond:
		return d.Round(time.Microsecond).String()
	case abs >= time.Microsecond:
		return d.Round(100 * time.Nanosecond).String()
	}
	return d.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printable keeps a name or a row of a line on its row: control characters and terminal sequences would tear the
// drawing.
func printable(s string) string {
	if strings.IndexFunc(s, unicode.IsControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, terminalSequence.ReplaceAllString(s, ""))
}

// terminalSequence is a control sequence of ECMA-48, colours above all.
var terminalSequence = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]")
