package diagnose

import (
	"cmp"
	"slices"
	"time"
)

// A Severity says how bad a finding is.
type Severity string

// Problem: data is lost, late or turned away, or soon will be. Warning: it was, or may be. Fine: a check found nothing.
const (
	Problem Severity = "problem"
	Warning Severity = "warning"
	Fine    Severity = "fine"
)

// A Finding is what one check has to say.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"`
	What     string   `json:"what"`             // one sentence
	Do       string   `json:"do,omitempty"`     // one sentence; empty: nothing
	Metric   string   `json:"metric,omitempty"` // or the path that says so
}

// A Reading is one look at /metrics.
type Reading struct {
	Page   *Page
	Taken  time.Time // by the reader's clock, in the middle of the request
	Server time.Time // by the Date header, in whole seconds; zero: it had none
}

// An Answer is what a path answered; a Status of 0: it was not asked, or gave no answer.
type Answer struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
}

// An Input is what there is to know of one process.
type Input struct {
	First, Second  Reading
	Healthy, Ready Answer
	// Ahead are how many samples lie more than a minute ahead of the clock, by the instance that was scraped.
	Ahead map[string]float64
}

func (in *Input) seconds() float64 { return max(in.Second.Taken.Sub(in.First.Taken).Seconds(), 0.001) }

// clock is the process' own, as far as it is known.
func (in *Input) clock() time.Time {
	if in.Second.Server.IsZero() {
		return in.Second.Taken
	}
	return in.Second.Server
}

// A check looks at one thing. Without any metric of about on the page there is nothing to look at.
type check struct {
	name, fine string
	about      []string
	find       func(*Input) []Finding
}

var checks = []check{
	{"health", "It is healthy and takes data.", nil, health},
	{"disk", "The queue's disk takes what is written.", []string{appendedFrames, storedBytes}, diskFailing},
	{"lag", "Every cursor is at the end of its lane, or close to it.", []string{lagSeconds}, lag},
	{"backpressure", "No lane is filling up, and no sender is turned away.", []string{laneLimit}, backpressure},
	{"receivers", "Every request of a sender is answered with success.", []string{otlpReceived, writeReceived}, receivers},
	{"exporters", "What is sent is taken.", []string{otlpSent, writeDuration, bulkDuration, lagSeconds}, exporters},
	{"log_delivery", "Lines that were read are acknowledged.", []string{linesRead}, logDelivery},
	{"drops", "No frame was dropped.", []string{droppedFrames}, drops},
	{"refused", "No record was refused for good.", []string{storedBytes}, refused},
	{"quarantine", "The quarantine is empty.", []string{quarantineBytes}, quarantine},
	{"dead_letters", "Elasticsearch has refused no document.", []string{bulkDuration}, deadLetters},
	{"remote_write", "Samples reach remote-write as they come.", []string{highestSent}, remoteWrite},
	{"log_files", "Every log file can be read.", []string{openFiles}, logFiles},
	{"log_losses", "Nothing of a log was gone before it was read.", []string{openFiles}, logLosses},
	{"scraping", "No scraped sample was lost.", []string{scrapeDropped}, scraping},
	{"decider", "Traces are decided as soon as they can be.", []string{decidedTraces}, decider},
	{"verdicts", "The verdict log is whole.", []string{verdictsDamaged}, verdicts},
	{"links", "Spans, lines and exemplars find their traces in time.", []string{indexEntries, exemplars}, links},
	{"clock", "Its clock and this machine's agree.", nil, clock},
	{"certificates", "Certificates are valid for more than a week, and new ones are taken.", []string{certificateExpiry}, certificates},
	{"configuration", "The configuration in use is the one that was read last.", []string{reloadGood}, configuration},
	{"memory", "There is memory left, and there are file descriptors.", []string{goSys}, memory},
}

// Run makes every check that the process gives something to look at, the worst findings first.
func Run(in *Input) []Finding {
	var all []Finding
	for _, c := range checks {
		if len(c.about) > 0 && !slices.ContainsFunc(c.about, in.Second.Page.Has) {
			continue
		}
		found := c.find(in)
		if len(found) == 0 {
			found = []Finding{{Severity: Fine, What: c.fine}}
		}
		for _, f := range found {
			f.Check = c.name
			all = append(all, f)
		}
	}
	order := []Severity{Problem, Warning, Fine}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Severity), slices.Index(order, b.Severity))
	})
	return all
}

// Role returns what the process is, by its metrics: aggregator, agent, or "" if it is neither.
func Role(p *Page) string {
	switch {
	case p.Has(observedSeries) || hasCursor(p, observeCursor):
		return "aggregator"
	case hasCursor(p, agentCursor):
		return "agent"
	}
	return ""
}

func hasCursor(p *Page, name string) bool {
	return slices.ContainsFunc(p.Samples(lagBytes), func(s Sample) bool { return s.Labels["cursor"] == name })
}

// Version returns the version that the process names, and when it was started; zero if it does not say.
func Version(p *Page) (version string, started time.Time) {
	for _, s := range p.Samples(buildInfo) {
		version = s.Labels["version"]
	}
	for _, s := range p.Samples(processStart) {
		started = time.UnixMilli(int64(s.Value * 1000)).UTC()
	}
	return version, started
}
