package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// traceShelf knows one trace.
type traceShelf struct {
	trace *telemetry.Trace
	err   error
}

func (s traceShelf) Trace(_ context.Context, _ string, id telemetry.TraceID) (*telemetry.Trace, error) {
	if s.trace != nil && id != s.trace.ID {
		return nil, s.err
	}
	return s.trace, s.err
}

var traceStart = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func traceSpan(id, parent byte, kind telemetry.SpanKind, service, name string, from, to time.Duration) telemetry.SpanRecord {
	s := telemetry.SpanRecord{Resource: &telemetry.Resource{Service: service}}
	s.SpanID, s.ParentID, s.Kind, s.Name = telemetry.SpanID{id}, telemetry.SpanID{parent}, kind, name
	if parent == 0 {
		s.ParentID = telemetry.SpanID{}
	}
	s.StartUnixNano, s.EndUnixNano = traceStart.Add(from).UnixNano(), traceStart.Add(to).UnixNano()
	return s
}

func traceLine(span byte, severity telemetry.Severity, at time.Duration, body string) telemetry.LogRecord {
	l := telemetry.LogRecord{Resource: &telemetry.Resource{Restart: -1}}
	l.SpanID, l.Severity, l.UnixNano, l.Body = telemetry.SpanID{span}, severity, traceStart.Add(at).UnixNano(), []byte(body)
	if span == 0 {
		l.SpanID = telemetry.SpanID{}
	}
	return l
}

// checkout is a trace with everything in it: branches, an error, a late child whose clock is ahead, an orphan, a ring,
// lines between spans, a line of several rows, a line of no span.
func checkout() *telemetry.Trace {
	const ms = time.Millisecond
	pay := traceSpan(3, 1, telemetry.SpanKindClient, "shop", "POST /pay", 20*ms, 80*ms)
	pay.Status, pay.StatusMessage = telemetry.StatusError, "card\nrefused"
	return &telemetry.Trace{
		ID: telemetry.TraceID{0x4b, 15: 0x36},
		Spans: []telemetry.SpanRecord{
			traceSpan(4, 3, telemetry.SpanKindServer, "payment", "pay", 25*ms, 75*ms),
			pay,
			traceSpan(1, 0, telemetry.SpanKindServer, "shop", "POST /checkout", 0, 100*ms),
			traceSpan(2, 1, telemetry.SpanKindInternal, "shop", "validate", 1*ms, 1500*time.Microsecond),
			traceSpan(5, 1, telemetry.SpanKindProducer, "shop", "enqueue", 90*ms, 160*ms),
			traceSpan(6, 9, telemetry.SpanKindConsumer, "mailer", "send", 30*ms, 40*ms),
			traceSpan(7, 8, telemetry.SpanKindInternal, "ring", "a", 50*ms, 60*ms),
			traceSpan(8, 7, telemetry.SpanKindInternal, "ring", "b", 50*ms, 60*ms),
		},
		Logs: []telemetry.LogRecord{
			traceLine(1, telemetry.SeverityInfo, 10*ms, "cart has 3 items"),
			traceLine(4, telemetry.SeverityError, 70*ms, "panic: card\n\tat pay.go:7\n"),
			traceLine(1, telemetry.SeverityWarn, 85*ms, "retrying \x1b[31mlater"),
			traceLine(99, 0, 95*ms, "whose am I"),
		},
	}
}

func runTrace(t testing.TB, s traceShelf, args ...string) invocation {
	t.Helper()
	server := httptest.NewServer(query.New(query.Options{Traces: s}))
	defer server.Close()
	return invoke(t, append([]string{"trace", "--server", server.URL}, args...)...)
}

const checkoutID = "4b000000000000000000000000000036"

func TestTrace(t *testing.T) {
	got := runTrace(t, traceShelf{trace: checkout()}, checkoutID)
	want := readFile(t, "testdata/checkout.txt")
	if got != (invocation{stdout: want}) {
		t.Errorf("%v\n%s\nwant\n%s", got.stderr, got.stdout, want)
	}
	colored := runTrace(t, traceShelf{trace: checkout()}, checkoutID, "--color", "always").stdout
	plain := strings.NewReplacer("\x1b[31m", "", "\x1b[33m", "", "\x1b[2m", "", "\x1b[0m", "").Replace(colored)
	for _, c := range podColors {
		plain = strings.ReplaceAll(plain, c, "")
	}
	if colored == want || plain != want {
		t.Errorf("with colours:\n%s", colored)
	}
}

// TestTraceAround has what is there by pod and time only: dimmed, marked, and below everything else.
func TestTraceAround(t *testing.T) {
	view := query.NewTraceView(checkout())
	cores, bytes := 0.1234, 50.0*(1<<20)
	for _, l := range []telemetry.LogRecord{
		traceLine(0, telemetry.SeverityWarn, 40*time.Millisecond, "GC took 12ms"), traceLine(0, 0, 150*time.Millisecond, "a\n\x1b[31mb"),
	} {
		l.Resource = &telemetry.Resource{Namespace: "shop", Pod: "shop-0"}
		view.Nearby = append(view.Nearby, query.NearbyLine{By: query.ByPodAndTime, LogLine: query.NewLogLine(&l)})
	}
	view.NearbyCut = true
	view.Processes = []query.ProcessView{
		{Namespace: "shop", Pod: "shop-0", CPUCores: &cores, ResidentBytes: &bytes}, {Service: "mailer", Instance: "m-2", ResidentBytes: &bytes}, {Service: "ring", CPUCores: &cores},
	}
	got, want := string(newWaterfall(view, false).render()), readFile(t, "testdata/checkout.txt")+readFile(t, "testdata/around.txt")
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if colored := string(newWaterfall(view, true).render()); !strings.Contains(colored, "\x1b[2m~ shop-0: \x1b[0m\x1b[2mGC took 12ms\x1b[0m\n") {
		t.Errorf("with colours:\n%s", colored)
	}
}

func TestTraceWarns(t *testing.T) {
	trace := checkout()
	trace.Spans[0].Resource = &telemetry.Resource{Service: "payment", Pod: "payment-0"}
	shelf := &lineShelf{answers: [][]telemetry.LogRecord{nil}, err: errors.New("no\nindex")}
	server := httptest.NewServer(query.New(query.Options{Traces: traceShelf{trace: trace}, Logs: shelf}))
	defer server.Close()
	got := invoke(t, "trace", "--server", server.URL, checkoutID)
	if want := (invocation{readFile(t, "testdata/checkout.txt"), "warning: the aggregator cannot read the lines without a trace id: no index\n", 0}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTraceAsJSON(t *testing.T) {
	got := runTrace(t, traceShelf{trace: checkout()}, strings.ToUpper(checkoutID), "-o", "json")
	var view query.TraceView
	if err := json.Unmarshal([]byte(got.stdout), &view); err != nil || got.code != 0 || got.stderr != "" {
		t.Fatalf("%v: %v", got, err)
	}
	if view.TraceID != checkoutID || len(view.Spans) != 8 || len(view.Logs) != 1 || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("%s", got.stdout)
	}
}

func TestTraceFailures(t *testing.T) {
	const hint = "\nSee 'braid trace -h' for help and examples\n"
	for _, test := range []struct {
		args   string
		shelf  traceShelf
		stderr string
	}{
		{"4bf92f3577b34da6a3ce929d0e0e4736", traceShelf{trace: checkout()}, "error: trace 4bf92f3577b34da6a3ce929d0e0e4736 is unknown: nothing of it is stored (yet, or any more)\n"},
		{checkoutID, traceShelf{err: errors.New("the index is broken")}, "error: the aggregator answered 500: the index is broken\n"},
		{"", traceShelf{}, "error: expected 'trace ID'" + hint},
		{"a b", traceShelf{}, "error: expected 'trace ID'" + hint},
		{"4bf9", traceShelf{}, "error: \"4bf9\" is no trace id: want 32 hex digits" + hint},
		{checkoutID + " -o yaml", traceShelf{}, "error: -o \"yaml\" is unknown: text or json" + hint},
		{checkoutID + " --color pink", traceShelf{}, "error: --color \"pink\" is unknown: auto, always or never" + hint},
		{checkoutID + " --zzz", traceShelf{}, "Error: unknown flag: --zzz\nSee 'braid trace --help' for usage.\n"},
	} {
		got := runTrace(t, test.shelf, strings.Fields(test.args)...)
		if want := (invocation{"", test.stderr, 1}); got != want {
			t.Errorf("braid trace %s: %v, want %v", test.args, got, want)
		}
	}
}

// Whatever ids the spans have: each is drawn once.
func TestEverySpanIsDrawnOnce(t *testing.T) {
	for seed := range uint32(500) {
		next := seed
		random := func(n uint32) byte {
			next = next*1664525 + 1013904223
			return byte(next >> 16 % n)
		}
		trace := &telemetry.Trace{ID: telemetry.TraceID{1}}
		for range 1 + int(random(8)) {
			from := time.Duration(random(50)) * time.Millisecond
			trace.Spans = append(trace.Spans, traceSpan(1+random(6), random(8), telemetry.SpanKindInternal, "s", "SPAN", from, from+time.Duration(random(50))*time.Millisecond))
		}
		for range random(5) {
			trace.Logs = append(trace.Logs, traceLine(random(8), 0, time.Duration(random(99))*time.Millisecond, "LINE"))
		}
		text := string(newWaterfall(query.NewTraceView(trace), false).render())
		_, rows, _ := strings.Cut(text, "SERVICE  SPAN\n")
		if spans, lines := strings.Count(rows, "SPAN"), strings.Count(rows, "LINE"); spans != len(trace.Spans) || lines != len(trace.Logs) {
			t.Fatalf("seed %d: %d of %d spans, %d of %d lines:\n%s", seed, spans, len(trace.Spans), lines, len(trace.Logs), text)
		}
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 12: "12ns", 1234: "1.2µs", 123456: "123.5µs", 1234567: "1.235ms", 12345678: "12.35ms",
		1234567890: "1.235s", 12345678901: "12.35s", -1234567: "-1.235ms",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
