package format

import (
	"bytes"

	"github.com/braidhq/braid/telemetry"
)

// splitCRI reads `<RFC 3339 time> <stdout|stderr> <tags> <text>`. Tags are separated by colons; the first one is P
// (partial) or F (full), others are for future use and tolerated, as in kubelet's own reader.
func splitCRI(line []byte, p *Piece) bool {
	space := bytes.IndexByte(line, ' ')
	if space < 0 {
		return false
	}
	t, ok := ParseTime(line[:space])
	if !ok {
		return false
	}
	rest := line[space+1:]
	if len(rest) < len("stdout F") || rest[6] != ' ' {
		return false
	}
	var stream telemetry.Stream
	switch string(rest[:6]) {
	case "stdout":
		stream = telemetry.Stdout
	case "stderr":
		stream = telemetry.Stderr
	default:
		return false
	}
	tag := rest[7]
	if tag != 'F' && tag != 'P' {
		return false
	}
	rest = rest[8:]
	if len(rest) > 0 && rest[0] == ':' {
		end := bytes.IndexByte(rest, ' ')
		if end < 0 {
			end = len(rest)
		}
		rest = rest[end:]
	}
	if len(rest) > 0 {
		if rest[0] != ' ' {
			return false
		}
		rest = rest[1:]
	}
	*p = Piece{UnixNano: t, Stream: stream, Partial: tag == 'P', Body: rest}
	return true
}
