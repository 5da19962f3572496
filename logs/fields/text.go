package fields

import (
	"bytes"

	"github.com/braidhq/braid/telemetry"
)

// textBound is how far into a line its facts are looked for: they stand at its beginning, or in the few fields behind
// a message. A megabyte of text is not searched for them.
const textBound = 4 << 10

// levelBound is how far into a line a bare level word is believed to be its level.
const levelBound = 128

// scanText takes the facts of a line that is no JSON.
func scanText(b []byte, f *Fields) {
	if len(b) > textBound {
		b = b[:textBound]
	}
	scanPairs(b, f)
	if f.Severity == 0 {
		f.Severity = textLevel(b)
	}
}

// scanPairs looks at every key=value: logfmt, and pairs within text. It goes from = to =, so that text without pairs
// costs one search.
func scanPairs(b []byte, f *Fields) {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '=')
		if n < 0 {
			return
		}
		eq := i + n
		i = eq + 1
		start := eq
		for start > 0 && eq-start <= longestKey && isKeyByte(b[start-1]) {
			start--
		}
		what := noFact
		if eq-start <= longestKey {
			what = factOf(b[start:eq])
		}
		if what == noFact || i == len(b) {
			continue
		}
		var value []byte
		value, i = pairValue(b, i)
		f.set(what, value)
	}
}

func isKeyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '.' || c == '@' || c == '-' || '0' <= c && c <= '9'
}

// pairValue reads the value at b[i], quoted or up to something that cannot be in a level or an id.
func pairValue(b []byte, i int) (value []byte, next int) {
	if b[i] == '"' || b[i] == '\'' {
		if n := bytes.IndexByte(b[i+1:], b[i]); n >= 0 {
			return b[i+1 : i+1+n], i + 2 + n
		}
		return nil, i + 1
	}
	end := i
	for end < len(b) && (isKeyByte(b[end])) {
		end++
	}
	return b[i:end], end
}

// textLevel finds the level that a line of text begins with: klog's E1121, a word in capitals that stands alone
// (2026-11-21 ERROR …), a word in brackets ([error], <warn>), or one with a colon at the very beginning (error: …).
func textLevel(b []byte) telemetry.Severity {
	if len(b) > levelBound {
		b = b[:levelBound]
	}
	if s := klogLevel(b); s != 0 {
		return s
	}
	colour := -1 // where the last colour sequence ended: a word begins there
	for i := 0; i < len(b); {
		if b[i] == '\x1b' {
			i = colourEnd(b, i)
			colour = i
			continue
		}
		if !isLetter(b[i]) {
			i++
			continue
		}
		end := i + 1
		// Most words of most lines are in small letters and stand where no level stands.
		if !isUpper(b[i]) && i > 0 && i != colour && b[i-1] != '[' && b[i-1] != '<' && b[i-1] != '|' {
			for end < len(b) && isWordByte(b[end]) {
				end++
			}
			i = end
			continue
		}
		upper := isUpper(b[i])
		for end < len(b) && isWordByte(b[end]) {
			upper = upper && isUpper(b[end])
			end++
		}
		if end-i >= 3 && (i == 0 || i == colour || !isWordByte(b[i-1])) && believed(b, i, end, upper, i == colour) {
			if s := telemetry.ParseSeverity(b[i:end]); s != 0 && !ordinary(b[i:end]) {
				return s
			}
		}
		i = end
	}
	return telemetry.SeverityUnspecified
}

// colourEnd returns the index behind the ANSI sequence at b[i]: ESC [ digits and semicolons, one letter.
func colourEnd(b []byte, i int) int {
	for i++; i < len(b) && !isLetter(b[i]); i++ {
	}
	return min(i+1, len(b))
}

// believed reports that the word b[i:end] stands where levels stand.
func believed(b []byte, i, end int, upper, coloured bool) bool {
	after := byte(' ')
	if end < len(b) {
		after = b[end]
	}
	if i == 0 && after == ':' {
		return true
	}
	before := byte(' ')
	if i > 0 && !coloured {
		before = b[i-1]
	}
	if before == '[' && after == ']' || before == '<' && after == '>' || before == '|' && after == '|' {
		return true
	}
	return upper && (before == ' ' || before == '\t' || before == '[') &&
		(after == ' ' || after == '\t' || after == ':' || after == ']' || after == '\x1b' || after == '-' || after == '|' || after == ',')
}

// ordinary reports a word that names a level in a level field, but not in running text.
func ordinary(word []byte) bool {
	for _, w := range [...]string{"log", "fine", "finer", "finest", "config", "verbose"} {
		if len(w) == len(word) && bytes.EqualFold(word, []byte(w)) {
			return true
		}
	}
	return false
}

// klogLevel reads klog's and glog's header: Lmmdd hh:mm:ss.
func klogLevel(b []byte) telemetry.Severity {
	if len(b) < len("E1121 0") || b[5] != ' ' {
		return 0
	}
	for _, c := range b[1:5] {
		if c-'0' > 9 {
			return 0
		}
	}
	switch b[0] {
	case 'I', 'W', 'E', 'F':
		return telemetry.ParseSeverity(b[:1])
	}
	return 0
}

func isLetter(c byte) bool   { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isUpper(c byte) bool    { return 'A' <= c && c <= 'Z' }
func isWordByte(c byte) bool { return isLetter(c) || c == '_' || '0' <= c && c <= '9' }
