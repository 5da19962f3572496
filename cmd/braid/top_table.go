package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// A serviceRow is one service. What is nil is unknown: no request in the window, or no histogram.
type serviceRow struct {
	Service    string   `json:"service"`
	Rate       float64  `json:"rate"` // a second
	ErrorRatio *float64 `json:"error_ratio"`
	P50        *float64 `json:"p50_seconds"`
	P95        *float64 `json:"p95_seconds"`
	P99        *float64 `json:"p99_seconds"`
}

// A topTable is what `braid top services` prints.
type topTable struct {
	Time     time.Time    `json:"time"`
	Window   float64      `json:"window_seconds"`
	Services []serviceRow `json:"services"`

	window time.Duration
}

// asked are the kinds of spans in which a service was asked for something; its own requests are somebody else's.
const asked = `span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"`

// read asks for every column and puts the answers together by service.
func (o *topOptions) read(ctx context.Context, client aggregatorClient) (*topTable, error) {
	kind := asked
	if o.kind == "all" {
		kind = ""
	}
	window := model.Duration(o.window).String()
	// A scrape without honor_labels renames the label to exported_service where the target has a service of its own.
	rate := func(metric, selector string) string {
		return fmt.Sprintf(`label_replace(rate(%s{%s}[%s]), "service", "$1", "exported_service", "(.+)")`, metric, selector, window)
	}
	calls := func(selector string) string {
		return fmt.Sprintf(`sum by (service) (%s)`, rate("traces_spanmetrics_calls_total", selector))
	}
	// Native histograms, and classic ones of services that have no native.
	quantile := func(q float64) string {
		return fmt.Sprintf(`histogram_quantile(%[1]g, sum by (service) (%[2]s)) or histogram_quantile(%[1]g, sum by (service, le) (%[3]s))`,
			q, rate("traces_spanmetrics_latency", kind), rate("traces_spanmetrics_latency_bucket", kind))
	}
	failed := `status_code="STATUS_CODE_ERROR"`
	if kind != "" {
		failed += "," + kind
	}
	t := &topTable{Time: o.now().UTC(), Window: o.window.Seconds(), Services: []serviceRow{}, window: o.window}
	rows := map[string]*serviceRow{}
	for _, column := range []struct {
		expr string
		set  func(*serviceRow, float64)
	}{
		{calls(kind), func(r *serviceRow, v float64) { r.Rate = v }},
		{calls(failed), func(r *serviceRow, v float64) { r.ErrorRatio = &v }},
		{quantile(0.5), func(r *serviceRow, v float64) { r.P50 = &v }},
		{quantile(0.95), func(r *serviceRow, v float64) { r.P95 = &v }},
		{quantile(0.99), func(r *serviceRow, v float64) { r.P99 = &v }},
	} {
		values, err := instant(ctx, client, column.expr, t.Time, "service")
		if err != nil {
			return nil, err
		}
		for service, v := range values {
			if rows[service] == nil {
				rows[service] = &serviceRow{Service: service}
			}
			column.set(rows[service], v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		r := rows[name]
		switch failed := r.ErrorRatio; {
		case r.Rate == 0:
			r.ErrorRatio = nil
		case failed == nil:
			r.ErrorRatio = new(float64)
		default:
			*failed /= r.Rate
		}
		t.Services = append(t.Services, *r)
	}
	t.sort(o.sort)
	return t, nil
}

// instant evaluates an expression whose series are told apart by one label. What is no number says nothing and is
// left out.
func instant(ctx context.Context, client aggregatorClient, expr string, at time.Time, label model.LabelName) (map[string]float64, error) {
	body, err := client.get(ctx, "/api/v1/query", url.Values{"query": {expr}, "time": {at.Format(time.RFC3339Nano)}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var answer struct {
		Data struct{ Result model.Vector }
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("cannot read the aggregator's answer: %w", err)
	}
	values := map[string]float64{}
	for _, s := range answer.Data.Result {
		if v := float64(s.Value); !math.IsNaN(v) && !math.IsInf(v, 0) {
			values[string(s.Metric[label])] = v
		}
	}
	return values, nil
}

// sort orders rows by a column, the highest first and what is unknown last; equal ones by name.
func (t *topTable) sort(column string) {
	value := map[string]func(*serviceRow) *float64{
		"rate":   func(r *serviceRow) *float64 { return &r.Rate },
		"errors": func(r *serviceRow) *float64 { return r.ErrorRatio },
		"p50":    func(r *serviceRow) *float64 { return r.P50 },
		"p95":    func(r *serviceRow) *float64 { return r.P95 },
		"p99":    func(r *serviceRow) *float64 { return r.P99 },
	}[column]
	if value == nil {
		return // by name, as they are
	}
	known := func(r *serviceRow) float64 {
		if v := value(r); v != nil {
			return *v
		}
		return math.Inf(-1)
	}
	slices.SortStableFunc(t.Services, func(a, b serviceRow) int { return cmp.Compare(known(&b), known(&a)) })
}

func (t *topTable) json() ([]byte, error) {
	b, err := json.Marshal(t)
	return append(b, '\n'), err
}

func (t *topTable) text(p palette) []byte {
	var b bytes.Buffer
	names := len("SERVICE")
	for _, r := range t.Services {
		names = max(names, utf8.RuneCountInString(printable(r.Service)))
	}
	fmt.Fprintf(&b, "%-*s  %10s  %8s  %10s  %10s  %10s\n", names, "SERVICE", "REQ/S", "ERRORS", "P50", "P95", "P99")
	for _, r := range t.Services {
		errors, color := "-", ""
		if r.ErrorRatio != nil {
			errors = strconv.FormatFloat(*r.ErrorRatio*100, 'f', 2, 64) + "%"
			if *r.ErrorRatio > 0 {
				color = colorError
			}
		}
		fmt.Fprintf(&b, "%-*s  %10.2f  %s  %10s  %10s  %10s\n", names, printable(r.Service), r.Rate,
			p.wrap(color, fmt.Sprintf("%8s", errors)), seconds(r.P50), seconds(r.P95), seconds(r.P99))
	}
	if len(t.Services) == 0 {
		fmt.Fprintf(&b, "no requests in the last %s\n", t.window)
	}
	return b.Bytes()
}

func seconds(v *float64) string {
	if v == nil {
		return "-"
	}
	return shortDuration(time.Duration(*v * 1e9))
}
