package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/braidhq/braid/diagnose"
)

// A doctorReport is what braid doctor prints.
type doctorReport struct {
	Server   string             `json:"server"`
	Role     string             `json:"role"` // agent, aggregator, or "" if it is neither
	Version  string             `json:"version"`
	Started  time.Time          `json:"started,omitzero"`
	Time     time.Time          `json:"time"`
	Interval float64            `json:"interval_seconds"`
	Findings []diagnose.Finding `json:"findings"`
}

func newDoctorReport(e *caseFile, in *diagnose.Input) *doctorReport {
	r := &doctorReport{
		Server: e.Server, Role: diagnose.Role(in.Second.Page), Time: in.Second.Taken,
		Interval: in.Second.Taken.Sub(in.First.Taken).Seconds(), Findings: diagnose.Run(in),
	}
	r.Version, r.Started = diagnose.Version(in.Second.Page)
	return r
}

func (r *doctorReport) json() ([]byte, error) {
	b, err := json.Marshal(r)
	return append(b, '\n'), err
}

var severityColors = map[diagnose.Severity]string{diagnose.Problem: colorError, diagnose.Warning: colorWarn, diagnose.Fine: colorDim}

func (r *doctorReport) text(p palette) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "braid %s %s at %s", cmp.Or(r.Role, "(neither agent nor aggregator)"), printable(r.Version), printable(r.Server))
	if !r.Started.IsZero() {
		fmt.Fprintf(&b, ", up %s", r.Time.Sub(r.Started).Round(time.Second))
	}
	fmt.Fprintf(&b, "; read twice, %s apart, at %s\n\n", shortDuration(time.Duration(r.Interval*1e9).Round(100*time.Millisecond)), r.Time.Format(time.RFC3339))
	counts := map[diagnose.Severity]int{}
	for _, f := range r.Findings {
		counts[f.Severity]++
		word := p.wrap(severityColors[f.Severity], fmt.Sprintf("%-7s", strings.ToUpper(string(f.Severity))))
		fmt.Fprintf(&b, "%s  %s\n", word, printable(f.What))
		if f.Do != "" {
			fmt.Fprintf(&b, "         Do: %s\n", printable(f.Do))
		}
		if f.Metric != "" {
			fmt.Fprintf(&b, "         %s\n", p.wrap(colorDim, "Seen in: "+printable(f.Metric)))
		}
	}
	fmt.Fprintf(&b, "\n%s, %s, %d checks fine\n", counted(counts[diagnose.Problem], "problem"), counted(counts[diagnose.Warning], "warning"), counts[diagnose.Fine])
	return b.Bytes()
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
