package diagnose

import (
	"fmt"
)

// attempts are what an exporter has sent of a signal between the readings and before.
type attempts struct {
	exporter, signal, metric string
	taken, failed            row
	why                      string // status codes of failures
	do                       string
}

func exporters(in *Input) []Finding {
	found, told := []Finding{}, map[string]bool{}
	for _, a := range append(append(in.otlpAttempts(), in.writeAttempts()...), in.bulkAttempts()...) {
		if f := in.sending(a); f != nil {
			found = append(found, *f)
			told[cursorOf(a.exporter)+" "+a.signal] = true
			told[cursorOf(a.exporter)+" "] = told[cursorOf(a.exporter)+" "] || a.signal == ""
		}
	}
	for _, b := range in.backlogs() { // the store, and what fails before it sends anything
		own := b.cursor == observeCursor || b.cursor == decideCursor
		if own || told[b.cursor+" "+b.signal] || told[b.cursor+" "] || b.old() >= lagWarning || !in.stuck(&b, standsStill) {
			continue // of braid itself, or said already, here or by lag
		}
		found = append(found, Finding{
			Warning, "", fmt.Sprintf("%s takes no %s: %s, and nothing was passed between the two readings.", reader(b.cursor), b.signal, b.waits()),
			in.remedy(&b), b.metric(),
		})
	}
	return found
}

// sending says whether attempts fail now; or failed, while what waits for them stands still (the pause between two
// attempts may be longer than the readings are apart).
func (in *Input) sending(a attempts) *Finding {
	_, still := in.linesHeld()
	still = still && a.exporter == "" && a.signal == "logs"
	for _, b := range in.backlogs() {
		still = still || b.cursor == cursorOf(a.exporter) && (a.signal == "" || a.signal == b.signal) && in.stuck(&b, failsStill)
	}
	if a.failed.now == 0 || a.failed.grown == 0 && (!still || a.taken.grown > 0) {
		return nil
	}
	what := a.signal
	if what == "" {
		what = "anything"
	}
	f := &Finding{Severity: Warning, Metric: a.metric, Do: a.do}
	switch {
	case a.taken.grown > 0:
		f.What = fmt.Sprintf("%s has failures: %s%s in the last %s, and %s were taken.",
			sender(a.exporter), number(a.failed.grown), a.why, age(in.seconds()), number(a.taken.grown))
	case a.failed.grown > 0:
		f.Severity = Problem
		f.What = fmt.Sprintf("%s does not get rid of %s: all %s failed%s in the last %s.", sender(a.exporter), what, number(a.failed.grown), a.why, age(in.seconds()))
	default:
		f.Severity = Problem
		f.What = fmt.Sprintf("%s does not get rid of %s: %s failed%s since the start, and what waits stands still.", sender(a.exporter), what, number(a.failed.now), a.why)
	}
	return f
}

const remedyAway = "See whether it runs and can be reached from here; the log has the error (away)."

func (in *Input) otlpAttempts() []attempts {
	by := map[string]*attempts{}
	for _, r := range in.rows(otlpSent) {
		exporter, signal, code := r.label("exporter"), r.label("signal"), r.label("code")
		a := by[exporter+" "+signal]
		if a == nil {
			a = &attempts{exporter: exporter, signal: signal, metric: selector(otlpSent, "exporter", exporter, "signal", signal)}
			by[exporter+" "+signal] = a
		}
		sum := &a.failed
		if len(code) == 3 && code[0] == '2' {
			sum = &a.taken
		}
		sum.now, sum.grown = sum.now+r.now, sum.grown+r.grown
		if sum == &a.failed && (r.grown > 0 || a.why == "") {
			a.why, a.do = codeWords(code)
		}
	}
	var all []attempts
	for _, key := range sortedKeys(by) {
		all = append(all, *by[key])
	}
	return all
}

// codeWords says what a status means for who sends, and what to do.
func codeWords(code string) (why, do string) {
	why = fmt.Sprintf(" (the answer was %s)", code)
	switch {
	case code == "0":
		return " (there was no answer)", remedyAway
	case code == "401" || code == "403":
		return why, "Give it credentials that the other side accepts."
	case code == "429":
		return why, "The other side pushes back: see what is full there; nothing is lost while there is room here."
	case code == "404":
		return why, "See the url: the path of the signal is added to it."
	case code[0] == '4':
		return why, "The other side refuses what is sent for good; its answer is in the log (quarantined)."
	}
	return why, "See the other side's own log."
}

func (in *Input) writeAttempts() []attempts {
	var all []attempts
	for _, r := range in.rows(writeRetried) {
		all = append(all, attempts{
			exporter: r.label("exporter"), signal: "samples", metric: selector(writeRetried, "exporter", r.label("exporter")),
			failed: r, taken: in.total(writeSamples, "exporter", r.label("exporter")), why: " and will be sent again", do: remedyAway,
		})
	}
	return all
}

func (in *Input) bulkAttempts() []attempts {
	var all []attempts
	for _, r := range in.where(bulks, "result", "failed") {
		all = append(all, attempts{
			exporter: r.label("exporter"), metric: selector(bulks, "exporter", r.label("exporter"), "result", "failed"),
			failed: r, taken: in.total(bulks, "exporter", r.label("exporter"), "result", "answered"), why: " as bulk requests",
			do: "See whether Elasticsearch runs and takes writes (disk watermarks, read-only blocks, rejected bulks); the log has its error (away).",
		})
	}
	return all
}

// linesHeld returns how many lines an agent has read that are not acknowledged, and whether none was between the readings.
// They are in no queue: they wait in their files.
func (in *Input) linesHeld() (held float64, still bool) {
	held, before, sent := in.total(linesRead).now, in.total(linesRead).was(), 0.0
	for _, r := range append(in.rows(lineOutcomes), in.rows(linesRefused)...) {
		held, before = held-r.now, before-r.was()
		if r.metric == linesRefused || r.label("outcome") == "sent" {
			sent += r.grown
		}
	}
	return held, held >= 1 && before >= 1 && sent == 0
}

func logDelivery(in *Input) []Finding {
	held, still := in.linesHeld()
	if !still {
		return nil
	}
	return []Finding{{
		Problem, "", fmt.Sprintf("%s were read and are not acknowledged, and none was between the two readings: the agent waits at its files.", plural(held, "line")),
		"Bring the aggregator back, or see why it turns this agent away (exporters, above or below); lines are lost only if rotation takes their files meanwhile.",
		linesRead,
	}}
}
