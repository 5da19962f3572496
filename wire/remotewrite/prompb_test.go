package remotewrite_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/remotewrite"
)

const seeds = 1500

// flat returns one text per sample, each bit of it, and one per exemplar.
func flat(samples []telemetry.Sample, starts, meta bool) (out []string) {
	for _, s := range samples {
		series := s.Series.Labels.String()
		if meta {
			series += fmt.Sprintf(" %s %q %q", s.Series.Type, s.Series.Unit, s.Series.Help)
		}
		start := s.StartUnixMilli
		if !starts {
			start = 0
		}
		line := fmt.Sprintf("%s @%d from %d: %s", series, s.UnixMilli, start, bits(s.Value))
		switch {
		case s.Histogram != nil:
			line = fmt.Sprintf("%s @%d from %d: %s", series, s.UnixMilli, start, flatHistogram(s.Histogram))
		case s.FloatHistogram != nil:
			line = fmt.Sprintf("%s @%d from %d: %s", series, s.UnixMilli, start, flatFloatHistogram(s.FloatHistogram))
		}
		out = append(out, line)
		for _, e := range s.Exemplars {
			out = append(out, flatExemplar(e))
		}
	}
	return out
}

func bits(f float64) string { return fmt.Sprintf("%x", math.Float64bits(f)) }

func flatExemplar(e exemplar.Exemplar) string {
	return fmt.Sprintf("  # %s %s %d %v", e.Labels, bits(e.Value), e.Ts, e.HasTs)
}

func flatHistogram(h *histogram.Histogram) string {
	return fmt.Sprint("int ", h.CounterResetHint, h.Schema, bits(h.ZeroThreshold), h.ZeroCount, h.Count, bits(h.Sum), " ",
		h.PositiveSpans, h.PositiveBuckets, h.NegativeSpans, h.NegativeBuckets, h.CustomValues)
}

func flatFloatHistogram(h *histogram.FloatHistogram) string {
	return fmt.Sprint("float ", h.CounterResetHint, h.Schema, bits(h.ZeroThreshold), bits(h.ZeroCount), bits(h.Count),
		bits(h.Sum), " ", h.PositiveSpans, h.PositiveBuckets, h.NegativeSpans, h.NegativeBuckets, h.CustomValues)
}

// validated is nil, nil for a histogram that Prometheus' own validation refuses. Unknown hints become no hint.
func validated(h *histogram.Histogram, fh *histogram.FloatHistogram) (*histogram.Histogram, *histogram.FloatHistogram) {
	if h != nil && h.CounterResetHint > histogram.GaugeType {
		h.CounterResetHint = histogram.UnknownCounterReset
	}
	if fh != nil && fh.CounterResetHint > histogram.GaugeType {
		fh.CounterResetHint = histogram.UnknownCounterReset
	}
	if h != nil {
		if h.Schema > 8 && h.Schema <= 52 && h.ReduceResolution(8) != nil || h.Validate() != nil {
			return nil, nil
		}
		return h, nil
	}
	if fh.Schema > 8 && fh.Schema <= 52 && fh.ReduceResolution(8) != nil || fh.Validate() != nil {
		return nil, nil
	}
	return nil, fh
}

// fromV1 and fromV2 do what the Decoder does, with Prometheus' own code and slowly.

func fromV1(t *testing.T, req *prompb.WriteRequest) (samples []telemetry.Sample, skipped int) {
	t.Helper()
	b := labels.NewScratchBuilder(0)
	for _, ts := range req.Timeseries {
		series := &telemetry.Series{Labels: ts.ToLabels(&b, nil), Type: model.MetricTypeUnknown}
		for _, m := range req.Metadata {
			name := series.Labels.Get("__name__")
			for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
				if m.MetricFamilyName+suffix == name && m.MetricFamilyName != "" {
					series.Type = model.MetricType(strings.ToLower(m.Type.String()))
					series.Help, series.Unit = m.Help, m.Unit
				}
			}
		}
		if !goodSeries(series.Labels) {
			skipped += len(ts.Samples) + len(ts.Histograms)
			continue
		}
		series.Labels = series.Labels.WithoutEmpty()
		first := len(samples)
		for _, s := range ts.Samples {
			samples = append(samples, telemetry.Sample{Series: series, UnixMilli: s.Timestamp, Value: s.Value})
		}
		for _, h := range ts.Histograms {
			s := telemetry.Sample{Series: series, UnixMilli: h.Timestamp}
			if h.IsFloatHistogram() {
				s.Histogram, s.FloatHistogram = validated(nil, h.ToFloatHistogram())
			} else {
				s.Histogram, s.FloatHistogram = validated(h.ToIntHistogram(), nil)
			}
			if s.Histogram == nil && s.FloatHistogram == nil {
				skipped++
				continue
			}
			samples = append(samples, s)
		}
		for _, e := range ts.Exemplars {
			x := e.ToExemplar(&b, nil)
			if len(samples) > first && goodLabels(x.Labels) {
				x.Labels = x.Labels.WithoutEmpty()
				samples[len(samples)-1].Exemplars = append(samples[len(samples)-1].Exemplars, x)
			}
		}
	}
	return samples, skipped
}

func fromV2(t *testing.T, req *writev2.Request) (samples []telemetry.Sample, skipped int) {
	t.Helper()
	b := labels.NewScratchBuilder(0)
	for _, ts := range req.Timeseries {
		ls, err := ts.ToLabels(&b, req.Symbols)
		meta, metaErr := ts.ToMetadata(req.Symbols)
		if err != nil || metaErr != nil || !goodSeries(ls) {
			skipped += len(ts.Samples) + len(ts.Histograms)
			continue
		}
		series := &telemetry.Series{Labels: ls.WithoutEmpty(), Type: meta.Type, Unit: meta.Unit, Help: meta.Help}
		first := len(samples)
		for _, s := range ts.Samples {
			samples = append(samples, telemetry.Sample{
				Series: series, UnixMilli: s.Timestamp, StartUnixMilli: s.StartTimestamp, Value: s.Value,
			})
		}
		for _, h := range ts.Histograms {
			s := telemetry.Sample{Series: series, UnixMilli: h.Timestamp, StartUnixMilli: h.StartTimestamp}
			if h.IsFloatHistogram() {
				s.Histogram, s.FloatHistogram = validated(nil, h.ToFloatHistogram())
			} else {
				s.Histogram, s.FloatHistogram = validated(h.ToIntHistogram(), nil)
			}
			if s.Histogram == nil && s.FloatHistogram == nil {
				skipped++
				continue
			}
			samples = append(samples, s)
		}
		for _, e := range ts.Exemplars {
			x, err := e.ToExemplar(&b, req.Symbols)
			if len(samples) > first && err == nil && goodLabels(x.Labels) {
				x.Labels = x.Labels.WithoutEmpty()
				samples[len(samples)-1].Exemplars = append(samples[len(samples)-1].Exemplars, x)
			}
		}
	}
	return samples, skipped
}

func goodLabels(ls labels.Labels) bool {
	_, duplicate := ls.HasDuplicateLabelNames()
	return !duplicate && ls.IsValid(model.UTF8Validation)
}

func goodSeries(ls labels.Labels) bool { return ls.Has(model.MetricNameLabel) && goodLabels(ls) }

// hasOrphans reports a TimeSeries with exemplars but no samples; the slow way above gives up on those.
func hasOrphans[S any](series []S, counts func(S) (samples, exemplars int)) bool {
	return slices.ContainsFunc(series, func(s S) bool {
		samples, exemplars := counts(s)
		return samples == 0 && exemplars > 0
	})
}

func TestEncodedV1AsPrompb(t *testing.T) {
	for seed := range uint64(seeds) {
		want := newGenerator(seed).samples()
		var req prompb.WriteRequest
		if err := req.Unmarshal(remotewrite.AppendV1(nil, want)); err != nil {
			t.Fatalf("seed %d: prompb does not take what we encode: %v", seed, err)
		}
		got, _ := fromV1(t, &req)
		compare(t, seed, flat(got, false, true), flat(want, false, true))
	}
}

func TestEncodedV2AsPrompb(t *testing.T) {
	for seed := range uint64(seeds) {
		want := newGenerator(seed).samples()
		var req writev2.Request
		if err := req.Unmarshal(remotewrite.AppendV2(nil, want)); err != nil {
			t.Fatalf("seed %d: prompb does not take what we encode: %v", seed, err)
		}
		if req.Symbols[0] != "" || len(slices.Compact(slices.Sorted(slices.Values(req.Symbols)))) != len(req.Symbols) {
			t.Fatalf("seed %d: symbols %q", seed, req.Symbols)
		}
		got, _ := fromV2(t, &req)
		compare(t, seed, flat(got, true, true), flat(want, true, true))
	}
}

// TestOneVersionToTheOther goes 2.0 → 1.0 → 2.0, which keeps all but start timestamps.
func TestOneVersionToTheOther(t *testing.T) {
	d := remotewrite.NewDecoder()
	var e remotewrite.Encoder
	for seed := range uint64(seeds) {
		want := newGenerator(seed).samples()
		samples, err := d.V2(e.AppendV2(nil, want))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, seed, flat(samples, true, true), flat(want, true, true))
		if samples, err = d.V1(e.AppendV1(nil, samples)); err != nil {
			t.Fatal(err)
		}
		compare(t, seed, flat(samples, false, true), flat(want, false, true))
		if samples, err = d.V2(e.AppendV2(nil, samples)); err != nil {
			t.Fatal(err)
		}
		compare(t, seed, flat(samples, false, true), flat(want, false, true))
		if d.Skipped() != 0 || d.SkippedExemplars() != 0 {
			t.Fatalf("seed %d: skipped %d samples and %d exemplars", seed, d.Skipped(), d.SkippedExemplars())
		}
	}
}

func compare(t *testing.T, seed uint64, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("seed %d:\ngot  %s\nwant %s", seed, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}
