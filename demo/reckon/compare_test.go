package reckon

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/braidhq/braid/demo/ledger"
)

func lineKey(i int) LineKey {
	return LineKey{"cart", "stdout", ledger.SumOf(fmt.Appendf(nil, "line %d", i))}
}

// noon is when all of the truth happened.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// truth is ten lines, ten spans of two traces, one of which had an error, and 35 samples of two names.
func truth() *Tally {
	t := NewTally()
	for i := range 10 {
		t.AddLine(lineKey(i), "t0")
		t.Spans[SpanKey{"cart", fmt.Sprintf("t%d", i%2), fmt.Sprintf("s%d", i)}] = 1
	}
	t.Traces["t0"] = &Trace{Spans: 5, Ended: noon, Sent: noon, Reason: "an error span", Left: noon, BySpan: true}
	t.Traces["t1"] = &Trace{Spans: 5, Ended: noon, Sent: noon}
	t.Samples[SampleKey{"cart", "up_total"}] = 5
	t.Samples[SampleKey{"frontend", "up_total"}] = 30
	return t
}

// asConfigured are the terms of all tests.
var asConfigured = Terms{Wait: 2 * time.Second, Late: time.Minute, Slow: 500 * time.Millisecond, Share: 0.1, Exemplars: true}

// shown are the exemplars of the truth.
var shown = []Exemplar{
	{Name: "traces_spanmetrics_latency_bucket", TraceID: "t0", SpanID: "s2"}, {Name: "up_total", Job: "shop", TraceID: "t0"},
}

// whole is the report if nothing is wrong.
const whole = `{"logs":{"written":10,"stored":10,"lost":0,"duplicated":0},"spans":{"sent":10,"observed":10,"stored":10},"samples":{"scraped":35,"stored":35},"exemplars":{"shipped":2,"resolved":2},"visible_ms":{"p50":12.3,"p99":250}}`

func lineOf(text string) LineKey { return LineKey{"cart", "stdout", ledger.SumOf([]byte(text))} }

var comparisons = []struct {
	name    string
	spoil   func(found *Tally, seen *Observations)
	was, is string // what changes in the report
	broken  string // a part of what is said; empty: all is well
	missing bool
}{
	{"all is well", func(*Tally, *Observations) {}, "", "", "", false},
	{"a line lost", func(f *Tally, _ *Observations) { delete(f.Lines, lineKey(3)) },
		`"stored":10,"lost":0`, `"stored":9,"lost":1`, "1 log lines were written and are not stored", true},
	{"a line twice", func(f *Tally, _ *Observations) { f.AddLine(lineKey(3), "t0") },
		`"stored":10,"lost":0,"duplicated":0`, `"stored":11,"lost":0,"duplicated":1`, "1 log lines are stored more often", false},
	{"one lost, another twice: the count alone is right", func(f *Tally, _ *Observations) { delete(f.Lines, lineKey(1)); f.AddLine(lineKey(3), "t0") },
		`"lost":0,"duplicated":0`, `"lost":1,"duplicated":1`, "not stored", true},
	{"one byte changed: the count alone is right", func(f *Tally, _ *Observations) { delete(f.Lines, lineKey(1)); f.AddLine(lineOf("line X"), "t0") },
		`"lost":0`, `"lost":1`, "1 log lines are stored that nobody wrote", true},
	{"on the other stream", func(f *Tally, _ *Observations) {
		delete(f.Lines, lineKey(1))
		f.AddLine(LineKey{"cart", "stderr", lineKey(1).Sum}, "t0")
	}, `"lost":0`, `"lost":1`, "nobody wrote", true},
	{"another trace id", func(f *Tally, _ *Observations) { f.Lines[lineKey(1)] = Lines{1, "t1"} },
		"", "", "another trace id", false},
	{"a trace without one span", func(f *Tally, _ *Observations) { delete(f.Spans, SpanKey{"cart", "t1", "s1"}) },
		`"observed":10,"stored":10`, `"observed":10,"stored":9`, "1 traces are stored without some of their spans, one of them t1 has 4 of 5", true},
	{"a trace without a reason is not kept", func(f *Tally, _ *Observations) { drop(f, "t1") },
		`"observed":10,"stored":10`, `"observed":10,"stored":5`, "", false},
	{"a trace with a reason is not kept", func(f *Tally, o *Observations) { drop(f, "t0"); o.Exemplars = nil },
		`"stored":10},"samples":{"scraped":35,"stored":35},"exemplars":{"shipped":2,"resolved":2}`,
		`"stored":5},"samples":{"scraped":35,"stored":35},"exemplars":{"shipped":0,"resolved":0}`, "1 traces are not kept though there was a reason in time, one of them t0 had an error span", true},
	{"an exemplar of a trace that is not kept", func(f *Tally, o *Observations) {
		drop(f, "t1")
		o.Exemplars = append(o.Exemplars, Exemplar{Name: "x", TraceID: "t1"})
	}, `"stored":10},"samples":{"scraped":35,"stored":35},"exemplars":{"shipped":2,`,
		`"stored":5},"samples":{"scraped":35,"stored":35},"exemplars":{"shipped":3,`, "1 exemplars name a trace or a span that is not stored, one of them {Name:x Job: TraceID:t1 SpanID:}", true},
	{"an exemplar of a span that is not there", func(_ *Tally, o *Observations) {
		o.Exemplars = append(o.Exemplars, Exemplar{Name: "x", TraceID: "t0", SpanID: "s1"}) // which is one of t1
	}, `"shipped":2`, `"shipped":3`, "1 exemplars name", true},
	{"an exemplar of nothing", func(_ *Tally, o *Observations) { o.Exemplars = append(o.Exemplars, Exemplar{Name: "x"}) },
		`"shipped":2`, `"shipped":3`, "1 exemplars name", true},
	{"no scraped exemplar", func(_ *Tally, o *Observations) { o.Exemplars = shown[:1] },
		`"shipped":2,"resolved":2`, `"shipped":1,"resolved":1`, "0 scraped exemplars and 1 of span metrics", true},
	{"no exemplar of span metrics", func(_ *Tally, o *Observations) { o.Exemplars = shown[1:] },
		`"shipped":2,"resolved":2`, `"shipped":1,"resolved":1`, "1 scraped exemplars and 0 of span metrics", true},
	{"a span twice in the store", func(f *Tally, _ *Observations) { f.Spans[SpanKey{"cart", "t0", "s0"}]++ },
		`"observed":10,"stored":10`, `"observed":10,"stored":11`, "more than once", false},
	{"a span of another service", func(f *Tally, _ *Observations) {
		delete(f.Spans, SpanKey{"cart", "t0", "s0"})
		f.Spans[SpanKey{"catalog", "t0", "s0"}]++
	}, "", "", "nobody sent", true},
	{"a span not observed", func(_ *Tally, o *Observations) { o.Calls-- },
		`"observed":10`, `"observed":9`, "10 spans were sent, traces_spanmetrics_calls_total says 9", true},
	{"a span observed twice", func(_ *Tally, o *Observations) { o.Calls++ },
		`"observed":10`, `"observed":11`, "says 11", false},
	{"samples lost", func(f *Tally, _ *Observations) { f.Samples[SampleKey{"frontend", "up_total"}]-- },
		`"scraped":35,"stored":35`, `"scraped":35,"stored":34`, "1 samples were scraped and are not stored", true},
	{"samples swapped: the count alone is right", func(f *Tally, _ *Observations) {
		f.Samples[SampleKey{"frontend", "up_total"}]--
		f.Samples[SampleKey{"cart", "up_total"}]++
	}, "", "", "not served to a scraper", true},
	{"the live tail misses one", func(_ *Tally, o *Observations) { o.Followed-- },
		"", "", "the live tail showed 9 of 10", true},
}

func TestCompare(t *testing.T) {
	for _, test := range comparisons {
		t.Run(test.name, func(t *testing.T) {
			found := truth()
			seen := Observations{Calls: 10, Exemplars: slices.Clone(shown), Followed: 10, P50: 12345 * time.Microsecond, P99: 250 * time.Millisecond}
			test.spoil(found, &seen)
			got := Compare(truth(), found, &seen, &asConfigured)
			text, err := json.Marshal(got.Report)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(whole, test.was, test.is, 1)
			if string(text) != want {
				t.Errorf("got  %s\nwant %s", text, want)
			}
			if said := strings.Join(got.Broken, "\n"); test.broken == "" && said != "" || !strings.Contains(said, test.broken) {
				t.Errorf("said %q, want %q", said, test.broken)
			}
			if got.Missing != test.missing {
				t.Errorf("missing: %v", got.Missing)
			}
		})
	}
}

// drop takes the spans of a trace away.
func drop(t *Tally, id string) {
	maps.DeleteFunc(t.Spans, func(k SpanKey, _ int) bool { return k.TraceID == id })
}

func TestAnEmptyShopIsNoSuccess(t *testing.T) {
	got := Compare(NewTally(), NewTally(), &Observations{}, &Terms{})
	if len(got.Broken) != 3 || got.Missing {
		t.Errorf("got %q, missing %v", got.Broken, got.Missing)
	}
}

func TestReadLedgers(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	var open []*ledger.Writer
	for _, service := range []string{"cart", "frontend"} {
		files[service] = filepath.Join(dir, service+".ndjson")
		w, err := ledger.Create(files[service])
		if err != nil {
			t.Fatal(err)
		}
		w.Line("stdout", "t0", false, func(uint64) []byte { return []byte("of " + service) })
		w.Span(ledger.EndedSpan{TraceID: "t0", SpanID: "s-" + service, Name: "x", Start: noon, End: noon})
		w.Metrics([]byte("a 1\nb{x=\"y\"} 2\nb{x=\"z\"} 2\n"))
		w.Metrics([]byte("a 1\nb{x=\"y\"} 2\nb{x=\"z\"} 2\n"))
		w.Flush()
		open = append(open, w)
	}
	if _, err := ReadLedgers(files, time.Second); err == nil {
		t.Error("ledgers that are still written were taken for the whole truth")
	}
	for i, w := range open {
		w.Sent([]string{"s-cart", "s-frontend"}[i : i+1])
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadLedgers(files, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := NewTally()
	for service := range files {
		want.AddLine(LineKey{service, "stdout", ledger.SumOf([]byte("of " + service))}, "t0")
		want.Spans[SpanKey{service, "t0", "s-" + service}] = 1
		want.Samples[SampleKey{service, "a"}] = 2
		want.Samples[SampleKey{service, "b"}] = 4
	}
	if !maps.Equal(got.Lines, want.Lines) || !maps.Equal(got.Spans, want.Spans) || !maps.Equal(got.Samples, want.Samples) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
