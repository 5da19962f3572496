package fields

import (
	"bytes"
	"unicode/utf8"
)

// longestValue is the longest text that a fact can have with some room; longer ones mean nothing.
const longestValue = 64

// scanObject walks the object at b[i] and takes the facts of its members. It returns the index behind it, and false if
// that is no JSON: what was found before the fault stays. It returns early, with the end of b, when all is found.
func scanObject(b []byte, i int, in scope, f *Fields) (int, bool) {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, true
	}
	for {
		end := stringEnd(b, i)
		if end < 0 {
			return 0, false
		}
		what, inner := memberFact(in, b[i+1:end-1])
		i = skipSpace(b, end)
		if i >= len(b) || b[i] != ':' {
			return 0, false
		}
		i = skipSpace(b, i+1)
		var ok bool
		if i, ok = scanValue(b, i, what, inner, f); !ok {
			return 0, false
		}
		if what != noFact && f.complete() {
			return len(b), true
		}
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != ',' {
			return i + 1, i < len(b) && b[i] == '}'
		}
		i = skipSpace(b, i+1)
	}
}

// memberFact looks up a key as it stands between its quotes.
func memberFact(in scope, raw []byte) (fact, scope) {
	if in == elsewhere {
		return noFact, elsewhere
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		if len(raw) > longestKey {
			return noFact, elsewhere
		}
		return factIn(in, raw)
	}
	var buf [longestKey + 1]byte
	key, ok := unescape(buf[:0], raw)
	if !ok {
		return noFact, elsewhere
	}
	return factIn(in, key)
}

// scanValue walks the value at b[i] and takes it if it is a fact.
func scanValue(b []byte, i int, what fact, inner scope, f *Fields) (int, bool) {
	if i >= len(b) {
		return 0, false
	}
	switch b[i] {
	case '"':
		end := stringEnd(b, i)
		if end < 0 {
			return 0, false
		}
		if what != noFact && what != nested {
			var buf [longestValue]byte
			raw := b[i+1 : end-1]
			if bytes.IndexByte(raw, '\\') < 0 {
				f.set(what, raw)
			} else if value, ok := unescape(buf[:0], raw); ok {
				f.set(what, value)
			}
		}
		return end, true
	case '{':
		if what == nested {
			return scanObject(b, i, inner, f)
		}
		return skipNested(b, i)
	case '[':
		return skipNested(b, i)
	}
	end := i
	for end < len(b) && b[end] != ',' && b[end] != '}' && b[end] != ']' && b[end] > ' ' {
		end++
	}
	if end == i {
		return 0, false
	}
	// Numbers: levels of pino, ids of Datadog. true and null name no level and no id.
	if (what == severity || what == datadogTraceID || what == datadogSpanID) && b[i]-'0' <= 9 {
		f.set(what, b[i:end])
	}
	return end, true
}

// stringEnd returns the index behind the string that begins at b[i], or -1.
func stringEnd(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		if b[i-2] != '\\' || !escaped(b, i-1) {
			return i
		}
	}
}

// escaped reports that an odd number of backslashes stands before b[i].
func escaped(b []byte, i int) bool {
	n := 0
	for i > 0 && b[i-1] == '\\' {
		i--
		n++
	}
	return n%2 == 1
}

// skipNested walks over the object or array at b[i]. It only balances brackets: the members mean nothing here.
func skipNested(b []byte, i int) (int, bool) {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			end := stringEnd(b, i)
			if end < 0 {
				return 0, false
			}
			i = end
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, true
			}
		}
		i++
	}
	return 0, false
}

// unescape appends the text of a JSON string's inside to dst, whose capacity is never exceeded: what does not fit is too
// long to mean anything.
func unescape(dst, raw []byte) ([]byte, bool) {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		size := 1
		var enc [utf8.UTFMax]byte
		enc[0] = c
		if c == '\\' {
			i++
			if i == len(raw) {
				return nil, false
			}
			if raw[i] == 'u' {
				if i+5 > len(raw) {
					return nil, false
				}
				r := rune(0)
				for _, d := range raw[i+1 : i+5] {
					v := hexDigit[d]
					if v > 15 {
						return nil, false
					}
					r = r<<4 | rune(v)
				}
				i += 4
				size = utf8.EncodeRune(enc[:], r)
			} else {
				enc[0] = plainEscape(raw[i])
			}
		}
		if len(dst)+size > cap(dst) {
			return nil, false
		}
		dst = append(dst, enc[:size]...)
	}
	return dst, true
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
