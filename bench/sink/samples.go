package sink

import (
	"fmt"
	"maps"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/tally"
	"github.com/braidhq/braid/telemetry"
)

// Samples counts the samples of the targets' own series. What a scraper adds (up, scrape_*), and staleness markers, are
// not the targets'.
type Samples struct{ tally.Tally }

// Take is for [Take].Samples.
func (s *Samples) Take(samples []telemetry.Sample) {
	for i := range samples {
		x := &samples[i]
		if !strings.HasPrefix(x.Series.Labels.Get(model.MetricNameLabel), "app_") || value.IsStaleNaN(x.Value) {
			continue
		}
		s.Add(tally.Sample(tally.Series(x.Series.Labels), x.UnixMilli, x.Value))
	}
}

// Calls reads calls out of the counters of span metrics, whoever made them.
type Calls struct{ last map[string]counted }

type counted struct {
	call input.Call
	n    uint64
}

// Take is for [Take].Samples.
func (c *Calls) Take(samples []telemetry.Sample) {
	if c.last == nil {
		c.last = map[string]counted{}
	}
	for i := range samples {
		x := &samples[i]
		ls := x.Series.Labels
		switch ls.Get(model.MetricNameLabel) {
		case "traces_spanmetrics_calls_total", "traces_span_metrics_calls_total":
			if value.IsStaleNaN(x.Value) {
				continue
			}
			call := input.Call{Service: first(ls, "service", "service_name"), Name: ls.Get("span_name"), Kind: ls.Get("span_kind"), Status: ls.Get("status_code")}
			c.last[ls.String()] = counted{call, uint64(x.Value)}
		}
	}
}

func first(ls labels.Labels, names ...string) string {
	for _, name := range names {
		if v := ls.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// Len returns how many calls the counters stand at.
func (c *Calls) Len() int {
	n := uint64(0)
	for _, x := range c.last {
		n += x.n
	}
	return int(n)
}

// Check returns nil if the counters say want.
func (c *Calls) Check(want map[input.Call]uint64) error {
	got := map[input.Call]uint64{}
	for _, x := range c.last {
		got[x.call] += x.n
	}
	if maps.Equal(got, want) {
		return nil
	}
	for call, n := range want {
		if got[call] != n {
			return fmt.Errorf("the span metrics say %d calls of %+v, not %d", got[call], call, n)
		}
	}
	return fmt.Errorf("the span metrics have %d kinds of calls, not %d", len(got), len(want))
}
