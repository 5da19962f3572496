package input

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/bench/tally"
)

// A page is a target's metrics: half of the series counters, a fifth gauges, the rest classic histograms; every scrape
// changes every value. As exposition text in the format of OpenMetrics 1.0, which is also Prometheus text but for "# EOF".
type page struct {
	r        *rand.Rand
	families []family
	series   int
}

type family struct {
	head    string // HELP and TYPE lines
	metrics []metric
}

// A metric is a series, or a histogram's series: its buckets, sum and count.
type metric struct {
	kind   byte // 'c', 'g', 'h'
	lines  []line
	value  float64
	bucket []uint64
	sum    float64
}

// A line is a series: the text in front of its value, and what it hashes to.
type line struct {
	text   string
	series uint64
}

// bounds hold no whole numbers, which Prometheus writes as 1.0.
var bounds = []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.5", "2.5", "+Inf"}

func newPage(instance string, id, series int) *page {
	p := &page{r: rand.New(rand.NewPCG(7, uint64(id)))}
	p.add('c', "requests", instance, series/2)
	p.add('g', "in_flight", instance, series/5)
	p.add('h', "latency_seconds", instance, series-series/2-series/5)
	return p
}

func (p *page) add(kind byte, name, instance string, series int) {
	for f := 0; series > 0; f++ {
		base := fmt.Sprintf("app_%s_%d", name, f)
		word := map[byte]string{'c': "counter", 'g': "gauge", 'h': "histogram"}[kind]
		fam := family{head: fmt.Sprintf("# HELP %s Synthetic %s for load tests.\n# TYPE %s %s\n", base, name, base, word)}
		for i := 0; i < 10 && series > 0; i++ {
			m := newMetric(kind, base, instance, f, i)
			m.value = float64(p.r.IntN(1e6))
			fam.metrics = append(fam.metrics, m)
			series -= len(m.lines)
			p.series += len(m.lines)
		}
		p.families = append(p.families, fam)
	}
}

func newMetric(kind byte, base, instance string, f, i int) metric {
	m := metric{kind: kind}
	add := func(name string, more ...string) {
		pairs := append([]string{
			"code", []string{"200", "404", "500"}[i%3], "handler", fmt.Sprintf("/api/v1/resource/%d", i),
			"method", []string{"GET", "POST"}[i%2], "shard", strconv.Itoa(f % 7),
		}, more...)
		var text []string
		for j := 0; j < len(pairs); j += 2 {
			text = append(text, fmt.Sprintf("%s=%q", pairs[j], pairs[j+1]))
		}
		identity := labels.FromStrings(append(pairs, model.MetricNameLabel, name, "instance", instance)...)
		m.lines = append(m.lines, line{name + "{" + strings.Join(text, ",") + "} ", tally.Series(identity)})
	}
	switch kind {
	case 'c':
		add(base + "_total")
	case 'g':
		add(base)
	case 'h':
		for _, le := range bounds {
			add(base+"_bucket", "le", le)
		}
		add(base + "_sum")
		add(base + "_count")
		m.bucket = make([]uint64, len(bounds))
	}
	return m
}

// render appends the page with new values, and takes what it says into truth.
func (p *page) render(dst []byte, truth *tally.Truth) []byte {
	put := func(l line, v float64) {
		dst = strconv.AppendFloat(append(dst, l.text...), v, 'g', -1, 64)
		dst = append(dst, '\n')
		truth.Add(tally.Sample(l.series, 0, v).Content)
	}
	for i := range p.families {
		dst = append(dst, p.families[i].head...)
		for j := range p.families[i].metrics {
			m := &p.families[i].metrics[j]
			switch m.kind {
			case 'c':
				m.value += float64(p.r.IntN(50))
				put(m.lines[0], m.value)
			case 'g':
				put(m.lines[0], float64(p.r.IntN(1e6))/1000)
			case 'h':
				count := uint64(0)
				for b := range m.bucket {
					n := uint64(p.r.IntN(9))
					m.bucket[b] += n
					m.sum += float64(n) * 0.03
					count += m.bucket[b]
					put(m.lines[b], float64(count))
				}
				put(m.lines[len(bounds)], m.sum)
				put(m.lines[len(bounds)+1], float64(count))
			}
		}
	}
	return append(dst, "# EOF\n"...)
}
