package ecs

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/braidhq/braid/telemetry"
)

const hexDigits = "0123456789abcdef"

// view returns the bytes of s without copying them; they must not be written to.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// appendText appends s as a JSON string (RFC 8259) and reports whether s was valid UTF-8. Each byte that belongs to no
// valid rune becomes U+FFFD, as encoding/json has it.
func appendText(dst, s []byte) ([]byte, bool) {
	valid := true
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			valid = false
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscaped(dst, c)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"'), valid
}

// appendEscaped appends a byte that cannot stand as it is.
func appendEscaped(dst []byte, c byte) []byte {
	switch {
	case c >= utf8.RuneSelf:
		return append(dst, "\ufffd"...)
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

func appendString(dst []byte, s string) []byte {
	dst, _ = appendText(dst, view(s))
	return dst
}

// AppendHex appends src in lower-case hex digits.
func AppendHex(dst, src []byte) []byte {
	for _, c := range src {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// appendTime appends a quoted RFC 3339 time in UTC with as many of nine decimals as it needs.
func appendTime(dst []byte, unixNano int64) []byte {
	dst = append(dst, '"')
	dst = time.Unix(0, unixNano).UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// appendValue appends an attribute's value so that it can be read back as what it was: integers stay integers, a float
// has a dot or an exponent (or is one of the strings NaN, Infinity, -Infinity), bytes are {"base64":"…"}, arrays and
// maps are JSON.
func appendValue(dst []byte, v *telemetry.Value) []byte {
	switch v.Kind {
	case telemetry.StringValue:
		return appendString(dst, v.Str)
	case telemetry.IntValue:
		return strconv.AppendInt(dst, v.Int, 10)
	case telemetry.BoolValue:
		return strconv.AppendBool(dst, v.Int != 0)
	case telemetry.FloatValue:
		return appendFloat(dst, v.Float)
	case telemetry.BytesValue:
		dst = append(dst, `{"base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, view(v.Str))
		return append(dst, `"}`...)
	case telemetry.JSONValue:
		return appendJSON(dst, view(v.Str))
	}
	return append(dst, "null"...)
}

func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	if bytes.IndexByte(dst[start:], '.') < 0 && bytes.IndexByte(dst[start:], 'e') < 0 {
		dst = append(dst, '.', '0')
	}
	return dst
}

// appendJSON appends s as it is if it is valid JSON, without the line ends that would end a bulk line, else as a string.
func appendJSON(dst, s []byte) []byte {
	if !json.Valid(s) || !utf8.Valid(s) {
		dst, _ = appendText(dst, s)
		return dst
	}
	for _, c := range s {
		if c == '\n' || c == '\r' { // only between tokens: a string cannot hold them unescaped
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

// manyAttrs is where looking for a repeated key in a map gets cheaper than comparing with every key before it.
const manyAttrs = 64

// appendAttrs appends an object of attrs. Of attributes with the same key the first counts, as for telemetry.Find:
// Elasticsearch refuses a document with a repeated key.
func appendAttrs(dst []byte, attrs []telemetry.Attr) []byte {
	var seen map[string]bool
	if len(attrs) > manyAttrs {
		seen = make(map[string]bool, len(attrs))
	}
	dst = append(dst, '{')
	for i := range attrs {
		if repeated(attrs, i, seen) {
			continue
		}
		if i > 0 { // the first is never a repeat
			dst = append(dst, ',')
		}
		dst = appendString(dst, attrs[i].Key)
		dst = append(dst, ':')
		dst = appendValue(dst, &attrs[i].Value)
	}
	return append(dst, '}')
}

func repeated(attrs []telemetry.Attr, i int, seen map[string]bool) bool {
	key := attrs[i].Key
	if seen != nil {
		if seen[key] {
			return true
		}
		seen[key] = true
		return false
	}
	for j := range i {
		if attrs[j].Key == key {
			return true
		}
	}
	return false
}
