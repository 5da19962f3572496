package traces

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/braidhq/braid/telemetry"
)

// A family is a metric as it is exported: its name, and the names of the labels that the values of a key belong to.
type family struct {
	name, help string
	kind       model.MetricType
	labels     []string
	cluster    string // label of every series; "": none
}

const clusterLabel = "cluster"

// series returns the identity of one series; what is empty is no label.
func (f *family) series(suffix, key, le string) *telemetry.Series {
	b := labels.NewScratchBuilder(len(f.labels) + 3)
	b.Add(model.MetricNameLabel, f.name+suffix)
	for i, v := range values(key, len(f.labels)) {
		if v != "" {
			b.Add(f.labels[i], v)
		}
	}
	if f.cluster != "" {
		b.Add(clusterLabel, f.cluster)
	}
	if le != "" {
		b.Add(labels.BucketLabel, le)
	}
	b.Sort()
	return &telemetry.Series{Labels: b.Labels(), Type: f.kind, Help: f.help}
}

// A histogramIdentity holds the series of a histogram: one if it is native, and one a bucket, sum and count if it is
// classic.
type histogramIdentity struct {
	native  *telemetry.Series
	classic []*telemetry.Series // the buckets, sum, count
}

func newHistogramIdentity(f *family, key string, s *shape) (h histogramIdentity) {
	if s.kind.native() {
		h.native = f.series("", key, "")
	}
	if s.kind.classic() {
		for _, bound := range s.bounds {
			h.classic = append(h.classic, f.series("_bucket", key, formatBound(bound)))
		}
		h.classic = append(h.classic, f.series("_bucket", key, "+Inf"), f.series("_sum", key, ""), f.series("_count", key, ""))
	}
	return h
}

// formatBound writes a bound as the label le has it: a float also if it is whole.
func formatBound(bound float64) string {
	s := strconv.FormatFloat(bound, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// all calls each with every series of h.
func (h *histogramIdentity) all(each func(*telemetry.Series)) {
	if h.native != nil {
		each(h.native)
	}
	for _, s := range h.classic {
		each(s)
	}
}

// An export collects samples of one moment.
type export struct {
	milli   int64
	samples []telemetry.Sample
}

func newExport(now int64, room int) *export {
	return &export{milli: toMilli(now), samples: make([]telemetry.Sample, 0, room)}
}

func toMilli(nano int64) int64 { return nano / int64(time.Millisecond) }

func (e *export) add(s *telemetry.Series, start int64, v float64) *telemetry.Sample {
	e.samples = append(e.samples, telemetry.Sample{Series: s, UnixMilli: e.milli, StartUnixMilli: e.start(start), Value: v})
	return &e.samples[len(e.samples)-1]
}

// start returns the start timestamp, which must lie before the sample's.
func (e *export) start(start int64) int64 {
	if milli := toMilli(start); start > 0 && milli < e.milli {
		return milli
	}
	return 0
}

func (e *export) stale(s *telemetry.Series) { e.add(s, 0, math.Float64frombits(value.StaleNaN)) }

// histogram adds d with its exemplars; in a classic one each goes to the bucket that its value fell into.
func (e *export) histogram(h *histogramIdentity, d *durations, s *shape, start int64, exemplars []exemplar.Exemplar) {
	if h.native != nil {
		sample := e.add(h.native, start, 0)
		sample.Histogram, sample.Exemplars = d.native(), exemplars
	}
	if h.classic == nil {
		return
	}
	count, lower := uint64(0), math.Inf(-1)
	for i, n := range d.buckets {
		count += n
		upper := math.Inf(1)
		if i < len(s.bounds) {
			upper = s.bounds[i]
		}
		sample := e.add(h.classic[i], start, float64(count))
		for _, x := range exemplars {
			if lower < x.Value && x.Value <= upper {
				sample.Exemplars = append(sample.Exemplars, x)
			}
		}
		lower = upper
	}
	e.add(h.classic[len(h.classic)-2], start, d.sum.seconds())
	e.add(h.classic[len(h.classic)-1], start, float64(d.count))
}
