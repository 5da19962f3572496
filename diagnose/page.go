package diagnose

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A Page is what /metrics showed: counters, gauges and untyped samples by name. Of histograms it knows the name only.
type Page struct{ families map[string][]Sample }

// A Sample is one line of a page.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Parse reads Prometheus' text format.
func Parse(r io.Reader) (*Page, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("cannot read a page of metrics: %w", err)
	}
	p := &Page{families: make(map[string][]Sample, len(families))}
	for name, family := range families {
		samples := make([]Sample, 0, len(family.GetMetric()))
		for _, m := range family.GetMetric() {
			s := Sample{Labels: make(map[string]string, len(m.GetLabel()))}
			for _, l := range m.GetLabel() {
				s.Labels[l.GetName()] = l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				s.Value = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				s.Value = m.GetGauge().GetValue()
			case m.GetUntyped() != nil:
				s.Value = m.GetUntyped().GetValue()
			default:
				continue
			}
			samples = append(samples, s)
		}
		p.families[name] = samples
	}
	return p, nil
}

// Has reports whether the page has the metric, be it a histogram.
func (p *Page) Has(name string) bool {
	_, ok := p.families[name]
	return ok
}

// Samples returns the samples of a metric. They are the page's.
func (p *Page) Samples(name string) []Sample { return p.families[name] }

// key is the same for the same labels.
func (s *Sample) key() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		fmt.Fprintf(&b, "%s=%q,", name, s.Labels[name])
	}
	return b.String()
}

// A row is one series over both readings.
type row struct {
	metric string
	labels map[string]string
	before float64 // at the first reading
	now    float64
	grown  float64 // of a counter; after a restart in between it is what has been counted since
}

// was returns what a counter had counted at the first reading.
func (r row) was() float64 { return r.now - r.grown }

// label returns a label's value, "" if there is none.
func (r row) label(name string) string {
	if !slices.Contains(catalogue[r.metric], name) {
		panic(fmt.Sprintf("BUG: label %s of %s is not in the catalogue", name, r.metric))
	}
	return r.labels[name]
}

// rows returns the series of a metric at the second reading, in the order of their labels.
func (in *Input) rows(metric string) []row {
	if _, known := catalogue[metric]; !known {
		panic(fmt.Sprintf("BUG: metric %s is not in the catalogue", metric))
	}
	first := map[string]float64{}
	for _, s := range in.First.Page.Samples(metric) {
		first[s.key()] = s.Value
	}
	samples := slices.Clone(in.Second.Page.Samples(metric))
	slices.SortFunc(samples, func(a, b Sample) int { return strings.Compare(a.key(), b.key()) })
	rows := make([]row, 0, len(samples))
	for _, s := range samples {
		before := first[s.key()] // 0 if it was not there
		r := row{metric: metric, labels: s.Labels, before: before, now: s.Value, grown: s.Value - before}
		if r.grown < 0 {
			r.grown = s.Value
		}
		rows = append(rows, r)
	}
	return rows
}

// where returns the rows of a metric with the given label values, as pairs of name and value.
func (in *Input) where(metric string, pairs ...string) []row {
	return slices.DeleteFunc(in.rows(metric), func(r row) bool {
		for i := 0; i < len(pairs); i += 2 {
			if r.label(pairs[i]) != pairs[i+1] {
				return true
			}
		}
		return false
	})
}

// total adds up the rows that where returns.
func (in *Input) total(metric string, pairs ...string) (sum row) {
	sum.metric = metric
	for _, r := range in.where(metric, pairs...) {
		sum.before, sum.now, sum.grown = sum.before+r.before, sum.now+r.now, sum.grown+r.grown
	}
	return sum
}

// selector writes a metric with labels, as pairs of name and value, as PromQL has it.
func selector(metric string, pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			parts = append(parts, fmt.Sprintf("%s=%q", pairs[i], pairs[i+1]))
		}
	}
	if len(parts) == 0 {
		return metric
	}
	return metric + "{" + strings.Join(parts, ",") + "}"
}
