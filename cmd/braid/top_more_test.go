package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// topOf runs a kind of braid top with a clock that goes only while it pauses.
func topOf(t *testing.T, kind func(*topOptions) *cobra.Command, o *topOptions, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	now := time.Unix(1_700_000_000, 0)
	o.now = func() time.Time { return now }
	pause := o.pause
	o.pause = func(ctx context.Context, d time.Duration) error {
		now = now.Add(d)
		if pause != nil {
			return pause(ctx, d)
		}
		return nil
	}
	cmd := kind(o)
	var out, errOut bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errOut.String(), err
}

func once() *topOptions { return &topOptions{live: func(io.Writer) bool { return false }} }

const (
	beforeLines = wellPage + `braid_log_records_total{container="web",namespace="shop",pod="cart-0",severity="info"} 100
braid_log_records_total{container="web",namespace="shop",pod="cart-0",severity="error"} 5
braid_log_record_bytes_total{container="web",namespace="shop",pod="cart-0"} 1000
braid_log_records_total{container="web",namespace="shop",pod="pay-0",severity="unspecified"} 7
braid_log_record_bytes_total{container="web",namespace="shop",pod="pay-0"} 9000
braid_log_records_total{container="dns",namespace="kube-system",pod="coredns",severity="info"} 50
braid_log_record_bytes_total{container="dns",namespace="kube-system",pod="coredns"} 500
`
	// cart writes 10 lines a second, a fifth of them errors; coredns was forgotten and is back; new is new.
	afterLines = wellPage + `braid_log_records_total{container="web",namespace="shop",pod="cart-0",severity="info"} 116
braid_log_records_total{container="web",namespace="shop",pod="cart-0",severity="error"} 8
braid_log_records_total{container="web",namespace="shop",pod="cart-0",severity="fatal"} 1
braid_log_record_bytes_total{container="web",namespace="shop",pod="cart-0"} 5096
braid_log_records_total{container="web",namespace="shop",pod="pay-0",severity="unspecified"} 7
braid_log_record_bytes_total{container="web",namespace="shop",pod="pay-0"} 9000
braid_log_records_total{container="dns",namespace="kube-system",pod="coredns",severity="info"} 30
braid_log_record_bytes_total{container="dns",namespace="kube-system",pod="coredns"} 300
braid_log_records_total{container="new",namespace="shop",pod="new-0",severity="warn"} 1
braid_log_record_bytes_total{container="new",namespace="shop",pod="new-0"} 2
`
)

const containersByBytes = `NAMESPACE    POD      CONTAINER     LINES/S     BYTES/S    ERRORS/S
shop         cart-0   web             10.00      2.0KiB        2.00
kube-system  coredns  dns             15.00        150B        0.00
shop         new-0    new              0.50          1B        0.00
shop         pay-0    web              0.00          0B        0.00
`

func TestTopContainers(t *testing.T) {
	rows := strings.SplitAfter(containersByBytes, "\n")
	for args, order := range map[string][]int{
		"": {1, 2, 3, 4}, "--sort lines": {2, 1, 3, 4}, "--sort errors": {1, 2, 3, 4}, "--sort name": {2, 1, 3, 4},
	} {
		server := admit(t, &patient{pages: []string{beforeLines, afterLines}})
		got, stderr, err := topOf(t, newTopContainersCommand, once(), append([]string{"--server", server}, strings.Fields(args)...)...)
		want := rows[0]
		for _, i := range order {
			want += rows[i]
		}
		if got != want || stderr != "" || err != nil {
			t.Errorf("%s: %v %s\n%s\nwant\n%s", args, err, stderr, got, want)
		}
	}
	for args, want := range map[string]string{
		"--limit 1 -n shop --color always": "NAMESPACE  POD     CONTAINER     LINES/S     BYTES/S    ERRORS/S\nshop       cart-0  web             10.00      2.0KiB  \x1b[31m      2.00\x1b[0m\nand 2 containers more; all together 10.50 lines/s, 2.0KiB/s\n",
		"-n nobody":                        "NAMESPACE  POD  CONTAINER     LINES/S     BYTES/S    ERRORS/S\nno container has written a line in the last hour\n",
	} {
		server := admit(t, &patient{pages: []string{beforeLines, afterLines}})
		if got, _, err := topOf(t, newTopContainersCommand, once(), append([]string{"--server", server}, strings.Fields(args)...)...); got != want || err != nil {
			t.Errorf("%s: %v\n%q\nwant\n%q", args, err, got, want)
		}
	}
}

func TestTopContainersAsJSON(t *testing.T) {
	server := admit(t, &patient{pages: []string{beforeLines, afterLines}})
	got, _, err := topOf(t, newTopContainersCommand, once(), "--server", server, "-o", "json", "--limit", "1")
	var table containerTable
	if err := errors.Join(err, json.Unmarshal([]byte(got), &table)); err != nil {
		t.Fatal(err, got)
	}
	if want := (containerRow{"shop", "cart-0", "web", 10, 2048, 2}); len(table.Containers) != 1 || table.Containers[0] != want || table.Window != 2 {
		t.Errorf("%+v", table)
	}
	if want := (containerTotal{4, 25.5, 2199, 2}); table.Total != want {
		t.Errorf("%+v", table.Total)
	}
}

// Live, each table compares with the one before.
func TestTopContainersLive(t *testing.T) {
	o, step, done := once(), 0, errors.New("done")
	o.live = func(io.Writer) bool { return true }
	o.pause = func(context.Context, time.Duration) error {
		if step++; step == 3 {
			return done
		}
		return nil
	}
	server := admit(t, &patient{pages: []string{beforeLines, afterLines}})
	got, stderr, err := topOf(t, newTopContainersCommand, o, "--server", server, "-n", "shop", "--sort", "name")
	tables := strings.Split(got, "\x1b[H")
	if err == nil || stderr != "error: done\n" || len(tables) != 3 || !strings.Contains(tables[1], " 10.00 ") || !strings.Contains(tables[2], "cart-0  web              0.00          0B        0.00") {
		t.Errorf("%v %s\n%q", err, stderr, tables)
	}
}

func TestTopContainersOfAnAgent(t *testing.T) {
	server := admit(t, &patient{pages: []string{"braid_build_info 1\nbraid_pipeline_lag_bytes{cursor=\"aggregator\",signal=\"logs\"} 0\n"}})
	_, stderr, err := topOf(t, newTopContainersCommand, once(), "--server", server)
	if want := "error: what answers at " + server + " is no aggregator, or not ready: only aggregators count lines by container\n"; err == nil || stderr != want {
		t.Errorf("%v %s", err, stderr)
	}
}

func TestTopMetrics(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	server := redStore(t, now)
	// redStore has 6 series of calls, 1 of native and 3 of classic latency.
	got, stderr, err := topOf(t, newTopMetricsCommand, once(), "--server", server.URL, "--limit", "2")
	want := `METRIC                                 SERIES     SHARE
traces_spanmetrics_calls_total              6    60.00%
traces_spanmetrics_latency_bucket           3    30.00%
(others)                                    1    10.00%
`
	if got != want || stderr != "" || err != nil {
		t.Errorf("%v %s\n%s\nwant\n%s", err, stderr, got, want)
	}
	got, _, err = topOf(t, newTopMetricsCommand, once(), "--server", server.URL, "--limit", "0", "-o", "json")
	if want := `"series":10,"metrics":[{"name":"traces_spanmetrics_calls_total","series":6},{"name":"traces_spanmetrics_latency_bucket","series":3},{"name":"traces_spanmetrics_latency","series":1}]}` + "\n"; err != nil || !strings.HasSuffix(got, want) {
		t.Errorf("%v\n%s", err, got)
	}
	empty := redStore(t, now.Add(-time.Hour))
	if got, _, err := topOf(t, newTopMetricsCommand, once(), "--server", empty.URL); err != nil || !strings.HasSuffix(got, "\nno series in the last five minutes\n") {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestFurtherTopFailures(t *testing.T) {
	for args, stderr := range map[string]string{
		"containers x":           "error: expected 'top containers' without arguments\nSee 'braid top containers -h' for help and examples\n",
		"containers --sort p99":  "error: --sort \"p99\" is unknown: bytes, lines, errors or name\nSee 'braid top containers -h' for help and examples\n",
		"containers --limit -1":  "error: --limit must not be below 0\nSee 'braid top containers -h' for help and examples\n",
		"metrics --sort name":    "Error: unknown flag: --sort\nSee 'braid top metrics --help' for usage.\n",
		"metrics -o yaml":        "error: -o \"yaml\" is unknown: text or json\nSee 'braid top metrics -h' for help and examples\n",
		"metrics --interval 1ms": "error: --interval must be 100ms at least\nSee 'braid top metrics -h' for help and examples\n",
	} {
		got := invoke(t, append([]string{"top"}, strings.Fields(args)...)...)
		if want := (invocation{"", stderr, 1}); got != want {
			t.Errorf("braid top %s: %v, want %v", args, got, want)
		}
	}
}
