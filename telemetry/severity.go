package telemetry

// Severity has OTLP's severity numbers: 1–4 trace, 5–8 debug, 9–12 info, 13–16 warn, 17–20 error, 21–24 fatal;
// 0 is unspecified (opentelemetry/proto/logs/v1, SeverityNumber).
type Severity uint8

// The first number of each range.
const (
	SeverityUnspecified Severity = 0
	SeverityTrace       Severity = 1
	SeverityDebug       Severity = 5
	SeverityInfo        Severity = 9
	SeverityWarn        Severity = 13
	SeverityError       Severity = 17
	SeverityFatal       Severity = 21
)

// String returns the range's name in lower case as log.level carries it, "" if unspecified.
func (s Severity) String() string {
	switch {
	case s == 0 || s > 24:
		return ""
	case s < SeverityDebug:
		return "trace"
	case s < SeverityInfo:
		return "debug"
	case s < SeverityWarn:
		return "info"
	case s < SeverityError:
		return "warn"
	case s < SeverityFatal:
		return "error"
	}
	return "fatal"
}

// ParseSeverity reads a level as programs write it (any case; "warning", "err", "E", "critical" … included) and
// returns SeverityUnspecified for anything else. It does not allocate.
func ParseSeverity(level []byte) Severity {
	var lower [12]byte
	if len(level) == 0 || len(level) > len(lower) {
		return SeverityUnspecified
	}
	for i, c := range level {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(level)]) {
	case "t", "trace", "trc", "finest", "finer", "verbose":
		return SeverityTrace
	case "d", "debug", "dbg", "fine", "config":
		return SeverityDebug
	case "i", "info", "inf", "information", "notice", "log", "ok":
		return SeverityInfo
	case "w", "warn", "warning", "wrn":
		return SeverityWarn
	case "e", "error", "err", "severe", "eror":
		return SeverityError
	case "f", "fatal", "ftl", "critical", "crit", "alert", "emerg", "emergency", "panic", "dpanic":
		return SeverityFatal
	}
	return SeverityUnspecified
}
