package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

const topMetricsLong = `Print which metrics have the most series in the aggregator's store, and their share of all series.

Series count that have had a sample in the last five minutes. On a terminal the table is drawn again every --interval until
Ctrl-C; elsewhere, with --once and with -o json it is printed once.`

const topMetricsExample = `  # What makes the store large
  braid top metrics --once

  # The names of all metrics, for a script
  braid top metrics --limit 0 -o json | jq -r '.metrics[].name'`

func newTopMetricsCommand(o *topOptions) *cobra.Command {
	cmd := o.command(topKind{
		name: "metrics", short: "Print which metrics have the most series, live on a terminal", long: topMetricsLong, example: topMetricsExample,
		check: func() error { return nil },
		read:  func(ctx context.Context, client aggregatorClient) (topView, error) { return o.readMetrics(ctx, client) },
	})
	cmd.Flags().IntVar(&o.limit, "limit", 20, "print so many metrics; 0 is all")
	return cmd
}

type metricRow struct {
	Name   string  `json:"name"`
	Series float64 `json:"series"`
}

// A metricTable is what `braid top metrics` prints.
type metricTable struct {
	Time    time.Time   `json:"time"`
	Series  float64     `json:"series"` // of all metrics
	Metrics []metricRow `json:"metrics"`
}

func (o *topOptions) readMetrics(ctx context.Context, client aggregatorClient) (*metricTable, error) {
	t := &metricTable{Time: o.now().UTC(), Metrics: []metricRow{}}
	expr := `count by (__name__) ({__name__!=""})`
	if o.limit > 0 {
		expr = fmt.Sprintf("topk(%d, %s)", o.limit, expr)
	}
	all, err := instant(ctx, client, `count({__name__!=""})`, t.Time, "")
	if err != nil {
		return nil, err
	}
	t.Series = all[""]
	counts, err := instant(ctx, client, expr, t.Time, "__name__")
	if err != nil {
		return nil, err
	}
	for name, n := range counts {
		t.Metrics = append(t.Metrics, metricRow{name, n})
	}
	slices.SortFunc(t.Metrics, func(a, b metricRow) int {
		return cmp.Or(cmp.Compare(b.Series, a.Series), strings.Compare(a.Name, b.Name))
	})
	return t, nil
}

func (t *metricTable) json() ([]byte, error) {
	b, err := json.Marshal(t)
	return append(b, '\n'), err
}

func (t *metricTable) text(palette) []byte {
	var b bytes.Buffer
	names, shown := len("METRIC"), 0.0
	for _, r := range t.Metrics {
		names = max(names, utf8.RuneCountInString(printable(r.Name)))
	}
	fmt.Fprintf(&b, "%-*s  %10s  %8s\n", names, "METRIC", "SERIES", "SHARE")
	for _, r := range t.Metrics {
		shown += r.Series
		fmt.Fprintf(&b, "%-*s  %10.0f  %7.2f%%\n", names, printable(r.Name), r.Series, 100*r.Series/max(t.Series, r.Series))
	}
	switch {
	case len(t.Metrics) == 0:
		b.WriteString("no series in the last five minutes\n")
	case shown < t.Series:
		fmt.Fprintf(&b, "%-*s  %10.0f  %7.2f%%\n", names, "(others)", t.Series-shown, 100*(t.Series-shown)/t.Series)
	}
	return b.Bytes()
}
