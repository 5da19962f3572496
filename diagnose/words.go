package diagnose

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Numbers as people read them.

func size(bytes float64) string {
	for _, unit := range []struct {
		name  string
		bytes float64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= unit.bytes {
			return strconv.FormatFloat(bytes/unit.bytes, 'f', 1, 64) + " " + unit.name
		}
	}
	return plural(bytes, "byte")
}

// number groups digits by threes; a fraction is shown only below ten.
func number(v float64) string {
	if v < 10 && v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func plural(n float64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 0, 64) + " %" }

// age rounds a duration to two units.
func age(seconds float64) string {
	s := int64(math.Round(math.Abs(seconds)))
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s%86400/3600)
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// grew says how bad a counter of losses is: a problem while it grows, a warning afterwards.
func (in *Input) grew(r row) (Severity, string) {
	if r.grown > 0 {
		return Problem, fmt.Sprintf("%s a second now", number(r.grown/in.seconds()))
	}
	return Warning, "none in the last " + age(in.seconds())
}

// reader names a cursor as people know it.
func reader(cursor string) string {
	switch cursor {
	case observeCursor:
		return "The observers' cursor"
	case decideCursor:
		return "The sampling decider"
	case agentCursor:
		return "Forwarding to the aggregator"
	}
	return fmt.Sprintf("Exporter %q", cursor)
}

func sender(exporter string) string {
	if exporter == "" {
		return "Forwarding to the aggregator" // an agent has one way out, without a label
	}
	return reader(exporter)
}

// cursorOf is the cursor that an exporter's metrics belong to.
func cursorOf(exporter string) string {
	if exporter == "" {
		return agentCursor
	}
	return exporter
}

func list(items []string) string {
	if len(items) > 3 {
		return strings.Join(items[:3], ", ") + fmt.Sprintf(" and %d more", len(items)-3)
	}
	return strings.Join(items, ", ")
}
