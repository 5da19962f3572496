package reckon

import (
	"fmt"
	"time"
)

// A Report is the demo's answer, in the form in which it is printed.
type Report struct {
	Logs    LogReport    `json:"logs"`
	Spans   SpanReport   `json:"spans"`
	Samples SampleReport `json:"samples"`

	Exemplars ExemplarReport `json:"exemplars"`
	Visible   VisibleReport  `json:"visible_ms"`
}

// A LogReport counts lines: stored = written − lost + duplicated, or else there are strangers.
type LogReport struct {
	Written    int `json:"written"`
	Stored     int `json:"stored"`
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
}

// A SpanReport counts spans: ended in the services, counted by span metrics, read back. Only kept traces are stored.
type SpanReport struct {
	Sent     int `json:"sent"`
	Observed int `json:"observed"`
	Stored   int `json:"stored"`
}

// A SampleReport counts samples in the /metrics bodies that the services served, and in the store.
type SampleReport struct {
	Scraped int64 `json:"scraped"`
	Stored  int64 `json:"stored"`
}

// An ExemplarReport counts exemplars in the store, and those of them whose trace can be read back.
type ExemplarReport struct {
	Shipped  int `json:"shipped"`
	Resolved int `json:"resolved"`
}

// A VisibleReport says how many milliseconds passed from a line's event time until a follower had it.
type VisibleReport struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// A Reckoning is a report with what is wrong in it.
type Reckoning struct {
	Report
	Keeping
	Broken  []string // promises, in words; empty: all were kept
	Missing bool     // something has not arrived, and may still
}

// Observations are what is measured beside the two tallies.
type Observations struct {
	Calls     int // spans that the aggregator's span metrics have counted
	Late      Late
	Exemplars []Exemplar    // in the store
	Followed  int           // distinct lines that the follower saw
	P50, P99  time.Duration // until it saw them
}

// Compare reckons what was found against what was written.
func Compare(written, found *Tally, seen *Observations, terms *Terms) *Reckoning {
	r := new(Reckoning)
	r.Visible = VisibleReport{P50: milliseconds(seen.P50), P99: milliseconds(seen.P99)}
	r.lines(written, found)
	r.spans(written, found)
	r.traces(written, found, terms, seen.Late)
	r.samples(written, found)
	r.exemplars(found, seen.Exemplars, terms.Exemplars)

	r.Spans.Observed = seen.Calls
	if seen.Calls != r.Spans.Sent {
		r.brokenf(seen.Calls < r.Spans.Sent, "%d spans were sent, traces_spanmetrics_calls_total says %d", r.Spans.Sent, seen.Calls)
	}
	if seen.Followed < r.Logs.Written {
		r.brokenf(true, "the live tail showed %d of %d log lines", seen.Followed, r.Logs.Written)
	}
	return r
}

// brokenf notes a broken promise; missing says that waiting may mend it.
func (r *Reckoning) brokenf(missing bool, format string, args ...any) {
	r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
	r.Missing = r.Missing || missing
}

func (r *Reckoning) lines(written, found *Tally) {
	strangers, mislinked := 0, 0
	var lost, twice, strange, wrong LineKey
	for k, w := range written.Lines {
		f := found.Lines[k]
		r.Logs.Written += w.Count
		if f.Count < w.Count {
			r.Logs.Lost += w.Count - f.Count
			lost = k
		}
		if f.Count > w.Count {
			r.Logs.Duplicated += f.Count - w.Count
			twice = k
		}
		if f.Count > 0 && f.TraceID != w.TraceID {
			mislinked++
			wrong = k
		}
	}
	for k, f := range found.Lines {
		r.Logs.Stored += f.Count
		if _, known := written.Lines[k]; !known {
			strangers += f.Count
			strange = k
		}
	}
	if r.Logs.Written == 0 {
		r.brokenf(false, "the services wrote no log line")
	}
	if r.Logs.Lost > 0 {
		r.brokenf(true, "%d log lines were written and are not stored, one of %+v", r.Logs.Lost, lost)
	}
	if r.Logs.Duplicated > 0 {
		r.brokenf(false, "%d log lines are stored more often than they were written, one of %+v", r.Logs.Duplicated, twice)
	}
	if strangers > 0 {
		r.brokenf(false, "%d log lines are stored that nobody wrote, one of %+v", strangers, strange)
	}
	if mislinked > 0 {
		r.brokenf(false, "%d log lines are stored with another trace id than they carry, one of %+v", mislinked, wrong)
	}
}

func (r *Reckoning) spans(written, found *Tally) {
	repeated := 0
	for _, n := range written.Spans {
		r.Spans.Sent += n
	}
	for k, n := range found.Spans {
		r.Spans.Stored += n
		if n > written.Spans[k] {
			repeated += n - written.Spans[k]
		}
	}
	if r.Spans.Sent == 0 {
		r.brokenf(false, "the services ended no span")
	}
	if repeated > 0 {
		r.brokenf(false, "%d spans are stored that nobody sent, or more than once", repeated)
	}
}

func (r *Reckoning) samples(written, found *Tally) {
	var less, more int64
	var fewest, most SampleKey
	for k, n := range written.Samples {
		r.Samples.Scraped += n
		if found.Samples[k] < n {
			less += n - found.Samples[k]
			fewest = k
		}
	}
	for k, n := range found.Samples {
		r.Samples.Stored += n
		if n > written.Samples[k] {
			more += n - written.Samples[k]
			most = k
		}
	}
	if r.Samples.Scraped == 0 {
		r.brokenf(false, "no sample was scraped")
	}
	if less > 0 {
		r.brokenf(true, "%d samples were scraped and are not stored, some of %+v", less, fewest)
	}
	if more > 0 {
		r.brokenf(false, "%d samples are stored that were not served to a scraper, some of %+v", more, most)
	}
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond).Microseconds()) / 1000
}
