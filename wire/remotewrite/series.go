package remotewrite

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
)

// metricTypes are the types by the number that both versions give them.
var metricTypes = [...]model.MetricType{
	model.MetricTypeUnknown, model.MetricTypeCounter, model.MetricTypeGauge, model.MetricTypeHistogram,
	model.MetricTypeGaugeHistogram, model.MetricTypeSummary, model.MetricTypeInfo, model.MetricTypeStateset,
}

func metricType(bits uint64) uint8 {
	if bits >= uint64(len(metricTypes)) {
		return 0
	}
	return uint8(bits)
}

func metricTypeNumber(t model.MetricType) uint64 {
	return uint64(max(0, slices.Index(metricTypes[:], t)))
}

// familyName returns the metric family a series called name may belong to: name without what histograms and summaries
// append.
func familyName(name string) string {
	for _, suffix := range [...]string{"_bucket", "_count", "_sum"} {
		if family, ok := strings.CutSuffix(name, suffix); ok {
			return family
		}
	}
	return name
}

// seriesOf returns the interned series of these labels, nil if they are bad. It may reorder ls.
//
// The key is the labels as they came, so that a known series is neither sorted nor checked again; labels that came in
// another order are known under both.
func (d *Decoder) seriesOf(ls []labels.Label, m metadata) *telemetry.Series {
	d.key = appendKey(d.key[:0], ls, m)
	if s, ok := d.series.Get(d.key); ok {
		return s
	}
	if !checkLabels(ls, d.textChecked) {
		return nil
	}
	came := len(d.key)
	ls = canonical(ls)
	d.key = appendKey(d.key, ls, m)
	s, ok := d.series.Get(d.key[came:])
	if !ok {
		s = &telemetry.Series{
			Labels: d.build(ls),
			Type:   metricTypes[m.kind],
			Unit:   strings.ToValidUTF8(strings.Clone(m.unit), "\uFFFD"),
			Help:   strings.ToValidUTF8(strings.Clone(m.help), "\uFFFD"),
		}
		d.series.Put(d.key[came:], s)
	}
	if string(d.key[:came]) != string(d.key[came:]) {
		d.series.Put(d.key[:came], s)
	}
	return s
}

// canonical brings good labels into the form that Labels have: sorted, without empty ones.
func canonical(ls []labels.Label) []labels.Label {
	ls = slices.DeleteFunc(ls, func(l labels.Label) bool { return l.Value == "" })
	slices.SortFunc(ls, func(a, b labels.Label) int { return strings.Compare(a.Name, b.Name) })
	return ls
}

// build makes Labels of canonical ones, which copies their text.
func (d *Decoder) build(ls []labels.Label) labels.Labels {
	d.builder.Reset()
	for _, l := range ls {
		d.builder.Add(l.Name, l.Value)
	}
	return d.builder.Labels()
}

func appendKey(dst []byte, ls []labels.Label, m metadata) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ls)))
	for i := range ls {
		dst = append(binary.AppendUvarint(dst, uint64(len(ls[i].Name))), ls[i].Name...)
		dst = append(binary.AppendUvarint(dst, uint64(len(ls[i].Value))), ls[i].Value...)
	}
	dst = append(dst, m.kind)
	dst = append(binary.AppendUvarint(dst, uint64(len(m.unit))), m.unit...)
	return append(dst, m.help...)
}

// checkLabels reports whether ls can be those of a series: a metric name, names neither empty nor repeated, and all of
// it UTF-8, which need not be looked at if isText says so.
func checkLabels(ls []labels.Label, isText bool) bool {
	hasName := false
	for i := range ls {
		hasName = hasName || ls[i].Name == model.MetricNameLabel && ls[i].Value != ""
	}
	return hasName && checkExemplarLabels(ls, isText)
}

// checkExemplarLabels is checkLabels without the metric name.
func checkExemplarLabels(ls []labels.Label, isText bool) bool {
	if len(ls) > maxLabels {
		return false
	}
	ascending := true
	for i := range ls {
		if ls[i].Name == "" || !isText && !(utf8.ValidString(ls[i].Name) && utf8.ValidString(ls[i].Value)) {
			return false
		}
		ascending = ascending && (i == 0 || ls[i-1].Name < ls[i].Name)
	}
	return ascending || !hasDuplicate(ls)
}

// hasDuplicate reports whether a name stands twice. Labels out of order are rare, so it may allocate.
func hasDuplicate(ls []labels.Label) bool {
	names := make(map[string]struct{}, len(ls))
	for i := range ls {
		names[ls[i].Name] = struct{}{}
	}
	return len(names) < len(ls)
}

func float(bits uint64) float64 { return math.Float64frombits(bits) }

// text returns b as a string that aliases it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
