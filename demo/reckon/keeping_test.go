package reckon

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/braidhq/braid/demo/ledger"
)

func after(d time.Duration) time.Time { return noon.Add(d) }

// An outage from 10 to 14 seconds after noon; the last sender has tried again eight seconds later.
var away = Outages{{From: after(10 * time.Second), To: after(14 * time.Second)}}

func TestLatest(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		0:                       time.Second,
		8900 * time.Millisecond: 9900 * time.Millisecond,
		9 * time.Second:         23 * time.Second, // it may have met a closed door
		12 * time.Second:        23 * time.Second,
		21 * time.Second:        23 * time.Second, // and what waits in a queue is sent after what waits there already
		22 * time.Second:        23 * time.Second,
		25 * time.Second:        26 * time.Second,
	} {
		if got := away.latest(after(left)); !got.Equal(after(want)) {
			t.Errorf("what left at %s came at %s at the latest, want %s", left, got.Sub(noon), want)
		}
	}
	if got := (Outages)(nil).latest(noon); !got.Equal(after(hop)) {
		t.Errorf("without outages: %s", got)
	}
}

func TestKeptTraces(t *testing.T) {
	const span, line, shown = "an error span", "an error line", "an exemplar"
	for _, test := range []struct {
		name         string
		reason       string
		ended, left  time.Duration // when the first span ended, when the reason left the shop
		sent         time.Duration // when the last span left it
		stored, late int
		broken       string
		missed       int
	}{
		{"kept", span, 0, 500, 600, 5, 0, "", 0},
		{"not kept", span, 0, 500, 600, 0, 9, "1 traces are not kept though there was a reason in time, one of them t had an error span", 0},
		{"not kept for a line", line, 0, 500, 600, 0, 9, "had an error line", 0},
		{"not kept for an exemplar", shown, 0, 500, 600, 0, 9, "had an exemplar", 0},
		{"the reason may have come late, and did", span, 0, 1100, 1200, 0, 1, "", 1},
		{"the reason may have come late, and did not", span, 0, 1100, 1200, 0, 0, "1 traces with an error or a slow span and 0 with an error line are not kept, and the aggregator speaks of 0 late", 1},
		{"the line may have come late, and did", line, 0, 1100, 1200, 0, 1, "", 1},
		{"the line may have come late, and did not", line, 0, 1100, 1200, 0, 0, "0 traces with an error or a slow span and 1 with", 1},
		{"an exemplar that may have come late", shown, 0, 1100, 1200, 0, 0, "", 1},
		{"the kill came between", span, 9500, 9600, 9700, 0, 3, "", 1},
		{"the kill came after", span, 8500, 8600, 8700, 0, 3, "in time", 0},
		{"the kill came before it ended", span, 12000, 12100, 12200, 0, 1, "", 1},
		{"long after the kill", span, 22500, 22600, 22700, 0, 1, "in time", 0},
		{"cut by the kill", span, 9500, 9600, 9700, 4, 3, "1 traces are stored without some of their spans, one of them t has 4 of 5", 0},
		{"cut, without a reason", "", 0, 0, 600, 4, 3, "4 of 5", 0},
		{"the last span came just in time", span, 0, 100, 60900, 4, 3, "4 of 5", 0},
		{"the last span came when all was over", span, 0, 100, 61100, 4, 3, "", 0},
		{"none is stored, without a reason", "", 0, 0, 600, 0, 0, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			ms := func(n time.Duration) time.Time { return after(n * time.Millisecond) }
			written, found := NewTally(), NewTally()
			trace := &Trace{Spans: 5, Ended: ms(test.ended), Sent: ms(test.sent), Reason: test.reason, Left: ms(test.left)}
			trace.BySpan, trace.ByLine = test.reason == span, test.reason == line
			late := Late{Spans: test.late}
			if trace.ByLine {
				late = Late{Lines: test.late}
			}
			written.Traces["t"], written.Traces["of no span"] = trace, &Trace{Reason: line, Left: noon}
			for i := range trace.Spans {
				k := SpanKey{"cart", "t", fmt.Sprint(i)}
				written.Spans[k] = 1
				if i < test.stored {
					found.Spans[k] = 1
				}
			}
			terms := asConfigured
			terms.Outages = away
			var r Reckoning
			r.traces(written, found, &terms, late)
			if said := strings.Join(r.Broken, "\n"); test.broken == "" && said != "" || !strings.Contains(said, test.broken) {
				t.Errorf("said %q, want %q", said, test.broken)
			}
			if r.Traces != 1 || r.Kept != min(1, test.stored) || r.Late != test.missed {
				t.Errorf("got %+v", r.Keeping)
			}
			if r.Missing != (test.broken != "") {
				t.Errorf("missing: %v", r.Missing)
			}
		})
	}
}

func TestTheShareOfTheRest(t *testing.T) {
	for _, test := range []struct {
		n, kept         int
		broken, missing bool
	}{
		{0, 0, false, false}, {3, 3, false, false}, {100, 0, false, false}, {300, 0, true, true}, {300, 300, true, false},
		{300, 30, false, false}, {300, 12, false, false}, {300, 60, false, false}, {300, 75, true, false}, {3000, 180, true, true},
	} {
		written, found := NewTally(), NewTally()
		for i := range test.n {
			id := fmt.Sprint(i)
			k := SpanKey{"cart", id, "s"}
			written.Traces[id], written.Spans[k] = &Trace{Spans: 1, Ended: noon, Sent: noon}, 1
			if i < test.kept {
				found.Spans[k] = 1
			}
		}
		var r Reckoning
		r.traces(written, found, &asConfigured, Late{})
		if (len(r.Broken) > 0) != test.broken || r.Missing != test.missing || r.Rest != test.n || r.RestKept != test.kept {
			t.Errorf("%d of %d: %q, missing %v, %+v", test.kept, test.n, r.Broken, r.Missing, r.Keeping)
		}
	}
}

func TestReadLedgersOfTraces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cart.ndjson")
	w, err := ledger.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	span := func(trace, id string, took time.Duration, failed bool) {
		w.Span(ledger.EndedSpan{TraceID: trace, SpanID: id, Start: noon, End: noon.Add(took), Error: failed})
	}
	line := func(trace string, isError bool) {
		w.Line("stdout", trace, isError, func(seq uint64) []byte { return fmt.Appendf(nil, "%d", seq) })
	}
	span("good", "1", 2*time.Second, false)
	span("good", "2", time.Second, false)
	span("slow", "3", 2*time.Second+1, false)
	span("failed", "4", 0, true)
	span("spoken of", "5", 0, false)
	line("good", false)
	line("spoken of", true)
	line("failed", true)
	line("", true)
	w.Metrics([]byte("a 1 # {trace_id=\"failed\"} 1\na 1 # {trace_id=\"shown\"} 1\n"))
	span("shown", "6", 0, true)
	w.Sent([]string{"1", "2", "3", "4", "5"})
	w.Flush()
	unacknowledged := "the agent has never acknowledged 1 spans that ended"
	if _, err := ReadLedgers(map[string]string{"cart": file}, 2*time.Second); err == nil || !strings.Contains(err.Error(), unacknowledged) {
		t.Errorf("got %v", err)
	}
	w.Sent([]string{"6"})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadLedgers(map[string]string{"cart": file}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]Trace{
		"good":      {Spans: 2, Ended: noon.Add(time.Second)},
		"slow":      {Spans: 1, Ended: noon.Add(2*time.Second + 1), Reason: "a slow span", BySpan: true},
		"failed":    {Spans: 1, Ended: noon, Reason: "an error line", BySpan: true, ByLine: true}, // the first of three
		"spoken of": {Spans: 1, Ended: noon, Reason: "an error line", ByLine: true},
		"shown":     {Spans: 1, Ended: noon, Reason: "an exemplar", BySpan: true},
	} {
		trace := got.Traces[id]
		if trace == nil {
			t.Fatalf("no trace %s", id)
		}
		for what, at := range map[string]time.Time{"sent": trace.Sent, "reason": trace.Left} {
			if at.IsZero() != (what == "reason" && want.Reason == "") || !at.IsZero() && (at.Before(begin.Round(0)) || at.After(time.Now())) {
				t.Errorf("%s: %s at %s", id, what, at)
			}
		}
		want.Sent, want.Left = trace.Sent, trace.Left
		if !trace.Ended.Equal(want.Ended) {
			t.Errorf("%s ended at %s", id, trace.Ended)
		}
		want.Ended = trace.Ended
		if *trace != want {
			t.Errorf("%s: got %+v, want %+v", id, *trace, want)
		}
	}
	if len(got.Traces) != 5 {
		t.Errorf("%d traces", len(got.Traces))
	}
}
