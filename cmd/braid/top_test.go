package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/store"
	"github.com/braidhq/braid/telemetry"
)

// redStore has two minutes of span metrics of four services: native histograms, classic ones, none, and no requests.
func redStore(t *testing.T, now time.Time) *httptest.Server {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var b telemetry.Batch
	add := func(i int, v float64, h *histogram.Histogram, kv ...string) {
		at := now.Add(time.Duration(i-12) * 10 * time.Second).UnixMilli()
		b.Samples = append(b.Samples, telemetry.Sample{Series: &telemetry.Series{Labels: labels.FromStrings(kv...)}, UnixMilli: at, Value: v, Histogram: h})
	}
	const calls, latency = "traces_spanmetrics_calls_total", "traces_spanmetrics_latency"
	server, unset, failed := []string{"span_kind", "SPAN_KIND_SERVER"}, []string{"status_code", "STATUS_CODE_UNSET"}, []string{"status_code", "STATUS_CODE_ERROR"}
	of := func(name, service string, more ...[]string) []string {
		kv := []string{"__name__", name, "service", service}
		for _, m := range more {
			kv = append(kv, m...)
		}
		return kv
	}
	for i := range 13 {
		n := float64(10 * i)
		add(i, n, nil, of(calls, "shop", server, unset)...)
		add(i, n/4, nil, of(calls, "shop", server, failed)...)
		add(i, 50*n, nil, of(calls, "shop", []string{"span_kind", "SPAN_KIND_CLIENT"}, unset)...)
		native := &histogram.Histogram{Count: uint64(n), Sum: n, ZeroThreshold: 1e-9, PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}}, PositiveBuckets: []int64{int64(n)}}
		add(i, 0, native, of(latency, "shop", server, unset)...)
		add(i, 2*n, nil, of(calls, "cart", []string{"span_kind", "SPAN_KIND_CONSUMER"}, unset)...)
		for _, le := range []string{"0.128", "0.256", "+Inf"} {
			add(i, map[string]float64{"0.128": 0, "0.256": 2 * n, "+Inf": 2 * n}[le], nil, of(latency+"_bucket", "cart", []string{"le", le}, []string{"span_kind", "SPAN_KIND_CONSUMER"}, unset)...)
		}
		add(i, n/10, nil, of(calls, "braid-aggregator", server, failed, []string{"exported_service", "bare"})...) // scraped without honor_labels
		add(i, 7, nil, of(calls, "idle", server, unset)...)
	}
	if err := s.Write(t.Context(), []*telemetry.Batch{&b}); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(query.New(query.Options{Queryable: s.Queryable()}))
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

const redByRate = `SERVICE       REQ/S    ERRORS         P50         P95         P99
cart           2.00     0.00%       192ms     249.6ms    254.72ms
shop           1.25    20.00%    707.11ms    965.94ms    993.09ms
bare           0.10   100.00%           -           -           -
idle           0.00         -           -           -           -
`

// top runs the verb at a given time.
func top(t *testing.T, o *topOptions, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := newTopServicesCommand(o)
	var out, errOut bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errOut.String(), err
}

func quiet(now time.Time) *topOptions {
	return &topOptions{live: func(io.Writer) bool { return false }, now: func() time.Time { return now }}
}

func TestTopServices(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	server := redStore(t, now)
	rows := strings.SplitAfter(redByRate, "\n")
	for sort, order := range map[string][]int{"rate": {1, 2, 3, 4}, "service": {3, 1, 4, 2}, "errors": {3, 2, 1, 4}, "p99": {2, 1, 3, 4}} {
		got, stderr, err := top(t, quiet(now), "--server", server.URL, "--sort", sort)
		want := rows[0]
		for _, i := range order {
			want += rows[i]
		}
		if got != want || stderr != "" || err != nil {
			t.Errorf("--sort %s: %v %s\n%s\nwant\n%s", sort, err, stderr, got, want)
		}
	}
	if got, _, err := top(t, quiet(now), "--server", server.URL, "--kind", "all"); err != nil || !strings.Contains(got, "shop          51.25     0.49%") {
		t.Errorf("--kind all: %v\n%s", err, got)
	}
	if got, _, err := top(t, quiet(now), "--server", server.URL, "--color", "always"); err != nil || !strings.Contains(got, "\x1b[31m  20.00%\x1b[0m") {
		t.Errorf("with colours: %v\n%s", err, got)
	}
	if got, _, err := top(t, quiet(now.Add(-time.Hour)), "--server", server.URL, "--window", "90s"); err != nil || !strings.HasSuffix(got, "\nno requests in the last 1m30s\n") {
		t.Errorf("nothing: %v\n%s", err, got)
	}
}

func TestTopServicesAsJSON(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	server := redStore(t, now)
	o := quiet(now)
	o.live = func(io.Writer) bool { return true }
	got, _, err := top(t, o, "--server", server.URL, "-o", "json")
	var table struct {
		Time     time.Time
		Window   float64 `json:"window_seconds"`
		Services []map[string]any
	}
	if err := errors.Join(err, json.Unmarshal([]byte(got), &table)); err != nil || !table.Time.Equal(now) || table.Window != 120 || len(table.Services) != 4 {
		t.Fatalf("%v: %s", err, got)
	}
	if s := table.Services[0]; s["service"] != "cart" || s["error_ratio"] != 0.0 || s["p50_seconds"] != 0.192 {
		t.Errorf("%v", s)
	}
	if s := table.Services[3]; s["service"] != "idle" || s["error_ratio"] != nil || s["p50_seconds"] != nil {
		t.Errorf("%v", s)
	}
	if got, _, err := top(t, quiet(now.Add(-time.Hour)), "--server", server.URL, "-o", "json"); err != nil || !strings.Contains(got, `"services":[]`) {
		t.Errorf("nothing: %v %s", err, got)
	}
}

// TestTopServicesLive draws over the table before, says when the aggregator is away, and goes on when it is back.
func TestTopServicesLive(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	real := redStore(t, now)
	away := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		real.Config.Handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	step, done := 0, errors.New("done")
	o := quiet(now)
	o.live = func(io.Writer) bool { return true }
	o.pause = func(_ context.Context, d time.Duration) error {
		if d != 3*time.Second {
			t.Errorf("a pause of %v", d)
		}
		step++
		away = step == 1
		if step == 3 {
			return done
		}
		return nil
	}
	got, stderr, err := top(t, o, "--server", server.URL, "--interval", "3s")
	table := "\x1b[H" + strings.ReplaceAll(redByRate, "\n", "\x1b[K\n") + "\x1b[J"
	want := table + "\x1b[Herror: the aggregator answered 503: starting\x1b[K\n\x1b[J" + table
	if got != want || stderr != "error: done\n" || err == nil {
		t.Errorf("%v %s\n%q\nwant\n%q", err, stderr, got, want)
	}
	away = true
	if _, stderr, err := top(t, o, "--server", server.URL, "--once"); err == nil || stderr != "error: the aggregator answered 503: starting\n" {
		t.Errorf("%v %s", err, stderr)
	}
}

func TestTopFailures(t *testing.T) {
	const hint = "\nSee 'braid top services -h' for help and examples\n"
	for args, stderr := range map[string]string{
		"services x":             "error: expected 'top services' without arguments" + hint,
		"services -o yaml":       "error: -o \"yaml\" is unknown: text or json" + hint,
		"services --sort size":   "error: --sort \"size\" is unknown: rate, service, errors, p50, p95 or p99" + hint,
		"services --kind me":     "error: --kind \"me\" is unknown: server or all" + hint,
		"services --color pink":  "error: --color \"pink\" is unknown: auto, always or never" + hint,
		"services --window 1ms":  "error: --window must be a second at least" + hint,
		"services --interval 0s": "error: --interval must be 100ms at least" + hint,
		"services --zzz":         "Error: unknown flag: --zzz\nSee 'braid top services --help' for usage.\n",
	} {
		got := invoke(t, append([]string{"top"}, strings.Fields(args)...)...)
		if want := (invocation{"", stderr, 1}); got != want {
			t.Errorf("braid top %s: %v, want %v", args, got, want)
		}
	}
}
