package format

import (
	"fmt"

	"github.com/braidhq/braid/telemetry"
)

// A Format is the envelope around each line of a log file.
type Format uint8

// The formats.
const (
	// CRI is Kubernetes' own: time, stream, tag (P or F), text (KEP cri-container-log).
	CRI Format = 1
	// Docker is the json-file driver's: {"log":"…\n","stream":"stdout","time":"…"}.
	Docker Format = 2
	// Plain has no envelope: no time, no stream, a line is a line.
	Plain Format = 3
)

// Parse reads a format's name as the configuration has it.
func Parse(name string) (Format, error) {
	switch name {
	case "cri":
		return CRI, nil
	case "docker":
		return Docker, nil
	case "plain":
		return Plain, nil
	}
	return 0, fmt.Errorf("cannot read log format %q: want cri, docker or plain", name)
}

// String returns the name that [Parse] reads.
func (f Format) String() string {
	switch f {
	case CRI:
		return "cri"
	case Docker:
		return "docker"
	case Plain:
		return "plain"
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// A Piece is one physical line without its envelope.
type Piece struct {
	UnixNano int64 // 0 if the format has none
	Stream   telemetry.Stream
	Partial  bool   // the runtime split the line after this piece
	Body     []byte // aliases the line
}

// Split reads the envelope of one physical line (without its newline) into p and reports whether it is well-formed.
// It may edit the line in place: Docker's escapes are resolved there. It never edits a line that is not well-formed.
func (f Format) Split(line []byte, p *Piece) bool {
	switch f {
	case CRI:
		return splitCRI(line, p)
	case Docker:
		return splitDocker(line, p)
	case Plain:
		*p = Piece{Body: line}
		return true
	}
	panic("BUG: no such log format: " + f.String())
}
