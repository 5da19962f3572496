package main

import (
	"bytes"
	"hash/fnv"
	"io"
	"os"

	"github.com/braidhq/braid/telemetry"
)

// podColors are told apart on light and dark grounds; red and yellow are kept for severities.
var podColors = [...]string{"\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m", "\x1b[95m", "\x1b[94m"}

const (
	colorError = "\x1b[31m"
	colorWarn  = "\x1b[33m"
	colorDim   = "\x1b[2m"
	colorOff   = "\x1b[0m"
)

// A palette colours what it is asked to, or nothing.
type palette bool

// newPalette decides by --color: auto is on a terminal only, and not where NO_COLOR or TERM=dumb say no.
func newPalette(mode string, w io.Writer) palette {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	return palette(os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// wrap returns s in a colour, or as it is if that is empty.
func (p palette) wrap(color, s string) string {
	if !p || s == "" || color == "" {
		return s
	}
	return color + s + colorOff
}

// pod returns how a pod's prefix begins and ends: one colour a pod, the same in every run.
func (p palette) pod(r *telemetry.Resource) (on, off string) {
	if !p {
		return "", ""
	}
	h := fnv.New32a()
	io.WriteString(h, r.Namespace+"/"+r.Pod+r.Service)
	return podColors[h.Sum32()%uint32(len(podColors))], colorOff
}

// appendBody writes a line's body, coloured if it is an error or a warning and has no colours of its own.
func (p palette) appendBody(b []byte, r *telemetry.LogRecord) []byte {
	color := ""
	switch {
	case !bool(p) || bytes.IndexByte(r.Body, '\x1b') >= 0:
	case r.Severity >= telemetry.SeverityError:
		color = colorError
	case r.Severity >= telemetry.SeverityWarn:
		color = colorWarn
	}
	if color == "" {
		return append(b, r.Body...)
	}
	return append(append(append(b, color...), r.Body...), colorOff...)
}
