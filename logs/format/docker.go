package format

import (
	"bytes"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
)

// splitDocker reads one object of the json-file driver. Unknown members (attrs) are skipped. A log value that does not
// end in a newline is a partial line. The value's escapes are resolved in place, once the whole line is known to be
// well-formed.
func splitDocker(line []byte, p *Piece) bool {
	line = bytes.TrimRight(line, " \r\t")
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' {
		return false
	}
	var log, at []byte
	stream := telemetry.UnknownStream
	for i := 1; ; {
		key, value, next, ok := member(line, i)
		if !ok {
			return false
		}
		switch string(key) {
		case `"log"`:
			log = value
		case `"stream"`:
			stream = dockerStream(value)
		case `"time"`:
			at = value
		}
		if i = next; line[next-1] == '}' {
			break
		}
	}
	if len(log) < 2 || log[0] != '"' || len(at) < 2 || stream == telemetry.UnknownStream {
		return false
	}
	t, ok := ParseTime(at[1 : len(at)-1])
	if !ok {
		return false
	}
	body := unescape(log[1 : len(log)-1])
	partial := true
	if n := len(body); n > 0 && body[n-1] == '\n' {
		body, partial = body[:n-1], false
	}
	*p = Piece{UnixNano: t, Stream: stream, Partial: partial, Body: body}
	return true
}

func dockerStream(value []byte) telemetry.Stream {
	switch string(value) {
	case `"stdout"`:
		return telemetry.Stdout
	case `"stderr"`:
		return telemetry.Stderr
	}
	return telemetry.UnknownStream
}

// member reads `"key":value` at line[i:] and the comma or brace behind it; next is the index behind that.
func member(line []byte, i int) (key, value []byte, next int, ok bool) {
	i = skipSpace(line, i)
	end := stringEnd(line, i)
	if end < 0 {
		return nil, nil, 0, false
	}
	key = line[i:end]
	i = skipSpace(line, end)
	if i >= len(line) || line[i] != ':' {
		return nil, nil, 0, false
	}
	i = skipSpace(line, i+1)
	end = valueEnd(line, i)
	if end <= i {
		return nil, nil, 0, false
	}
	value = line[i:end]
	i = skipSpace(line, end)
	if i >= len(line) || (line[i] != ',' && line[i] != '}') || (line[i] == '}' && i != len(line)-1) {
		return nil, nil, 0, false
	}
	return key, value, i + 1, true
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// stringEnd returns the index behind the string that begins at b[i], or -1. It refuses escapes that JSON does not know.
func stringEnd(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
			if i >= len(b) {
				return -1
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := hex4(b, i+1); !ok {
					return -1
				}
				i += 4
			default:
				return -1
			}
		}
	}
	return -1
}

// valueEnd returns the index behind the JSON value at b[i], or -1. Of nested values it knows only where they end.
func valueEnd(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	if b[i] == '"' {
		return stringEnd(b, i)
	}
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			end := stringEnd(b, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			if depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// unescape resolves the escapes of a JSON string's inside in place and returns the shorter slice. A lone surrogate
// becomes U+FFFD, as encoding/json has it; bytes that are no UTF-8 stay as they are.
func unescape(b []byte) []byte {
	r := bytes.IndexByte(b, '\\')
	if r < 0 {
		return b
	}
	w := r
	for r < len(b) {
		c := b[r]
		if c != '\\' {
			// Copy the run up to the next escape at once: most lines have only the newline at their end.
			n := bytes.IndexByte(b[r:], '\\')
			if n < 0 {
				n = len(b) - r
			}
			w += copy(b[w:], b[r:r+n])
			r += n
			continue
		}
		r++
		if b[r] == 'u' {
			var size int
			size, r = unescapeUnicode(b, w, r+1)
			w += size
			continue
		}
		b[w] = plainEscape(b[r])
		w++
		r++
	}
	return b[:w]
}

func plainEscape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return c
}

// unescapeUnicode writes the rune of the four digits at b[r:] (and of a following low surrogate) to b[w:].
func unescapeUnicode(b []byte, w, r int) (size, next int) {
	c, _ := hex4(b, r)
	r += 4
	if 0xd800 <= c && c < 0xdc00 && r+6 <= len(b) && b[r] == '\\' && b[r+1] == 'u' {
		if low, _ := hex4(b, r+2); 0xdc00 <= low && low < 0xe000 {
			c = 0x10000 + (c-0xd800)<<10 + (low - 0xdc00)
			r += 6
		}
	}
	if 0xd800 <= c && c < 0xe000 {
		c = utf8.RuneError
	}
	return utf8.EncodeRune(b[w:w+4:w+4], c), r
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var v rune
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			v = v<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
