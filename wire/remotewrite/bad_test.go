package remotewrite_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
	"github.com/braidhq/braid/wire/remotewrite"
)

type marshaler interface{ Marshal() ([]byte, error) }

func marshal(t *testing.T, m marshaler) []byte {
	t.Helper()
	body, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestBadSeriesAlone: a bad series stands between two good ones, which have to arrive.
func TestBadSeriesAlone(t *testing.T) {
	for name, bad := range map[string]writev2.TimeSeries{
		"odd references":         {LabelsRefs: []uint32{1, 2, 3}},
		"name out of range":      {LabelsRefs: []uint32{1, 2, 8, 2}},
		"value out of range":     {LabelsRefs: []uint32{1, 2, 3, math.MaxUint32}},
		"no name":                {LabelsRefs: []uint32{3, 4}},
		"no labels":              {},
		"empty metric name":      {LabelsRefs: []uint32{1, 0, 3, 4}},
		"empty label name":       {LabelsRefs: []uint32{0, 4, 1, 2}},
		"label twice":            {LabelsRefs: []uint32{1, 2, 3, 4, 5, 2}},
		"label twice, unsorted":  {LabelsRefs: []uint32{3, 4, 1, 2, 3, 4}},
		"name is not UTF-8":      {LabelsRefs: []uint32{1, 2, 6, 4}},
		"value is not UTF-8":     {LabelsRefs: []uint32{1, 2, 3, 6}},
		"help out of range":      {LabelsRefs: []uint32{1, 2}, Metadata: writev2.Metadata{HelpRef: 8}},
		"unit out of range":      {LabelsRefs: []uint32{1, 2}, Metadata: writev2.Metadata{UnitRef: 8}},
		"a reference of 35 bits": {},
	} {
		// One symbol that is not UTF-8 makes the decoder look at each label's text, so only those cases have one.
		symbols := []string{"", "__name__", "up", "job", "node", "job", "fine", "a"}
		if strings.Contains(name, "UTF-8") {
			symbols[6] = "\xff"
		}
		bad.Samples = []writev2.Sample{{Value: 1, Timestamp: 1}, {Value: 2, Timestamp: 2}}
		bad.Exemplars = []writev2.Exemplar{{Value: 3}}
		good := writev2.TimeSeries{LabelsRefs: []uint32{3, 4, 1, 2, 7, 0}, Samples: []writev2.Sample{{Value: 7, Timestamp: 7}}}
		body := marshal(t, &writev2.Request{Symbols: symbols, Timeseries: []writev2.TimeSeries{good, bad, good}})
		if name == "a reference of 35 bits" {
			wide := protobuf.AppendTagged(protobuf.AppendTagged(nil, 1<<3, 1<<34|1), 1<<3, 2)
			wide = append(wide, marshal(t, &bad)...)
			body = marshal(t, &writev2.Request{Symbols: symbols, Timeseries: []writev2.TimeSeries{good}})
			body = protobuf.AppendBytes(body, 5<<3|protobuf.Bytes, wide)
			body = append(body, marshal(t, &writev2.Request{Timeseries: []writev2.TimeSeries{good}})...)
		}
		d := remotewrite.NewDecoder()
		samples, err := d.V2(body)
		if err != nil || len(samples) != 2 || d.Skipped() != 2 || d.SkippedExemplars() != 1 {
			t.Errorf("%s: %d samples, skipped %d and %d, %v", name, len(samples), d.Skipped(), d.SkippedExemplars(), err)
			continue
		}
		// The good one came unsorted and with an empty label.
		for i := range samples {
			if s := samples[i].Series.Labels.String(); s != `{__name__="up", job="node"}` || samples[i].Value != 7 {
				t.Errorf("%s: good series is %s = %v", name, s, samples[i].Value)
			}
		}
		checkCount(t, telemetry.RemoteWrite2, body, d, samples, err)
	}
}

func TestBadSeriesAloneV1(t *testing.T) {
	label := func(nv ...string) (ls []prompb.Label) {
		for i := 0; i < len(nv); i += 2 {
			ls = append(ls, prompb.Label{Name: nv[i], Value: nv[i+1]})
		}
		return ls
	}
	for name, ls := range map[string][]prompb.Label{
		"no labels":          nil,
		"no name":            label("a", "b"),
		"empty label name":   label("", "x", "__name__", "up"),
		"label twice":        label("__name__", "up", "a", "1", "a", "2"),
		"name is not UTF-8":  label("__name__", "up", "\xff", "2"),
		"value is not UTF-8": label("__name__", "up", "a", "\xff"),
	} {
		body := marshal(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
			{Labels: ls, Samples: []prompb.Sample{{Value: 1}}},
			{Labels: label("job", "node", "__name__", "up"), Samples: []prompb.Sample{{Value: 7}}},
		}})
		d := remotewrite.NewDecoder()
		samples, err := d.V1(body)
		if err != nil || len(samples) != 1 || samples[0].Value != 7 || d.Skipped() != 1 {
			t.Errorf("%s: %d samples, skipped %d, %v", name, len(samples), d.Skipped(), err)
		}
		checkCount(t, telemetry.RemoteWrite1, body, d, samples, err)
	}
}

func TestBadHistogramAlone(t *testing.T) {
	good := writev2.FromIntHistogram(5, 9, newGenerator(1).integer())
	bad := good
	bad.PositiveSpans = []writev2.BucketSpan{{Length: 77}}
	body := marshal(t, &writev2.Request{Symbols: []string{"", "__name__", "h"}, Timeseries: []writev2.TimeSeries{
		{LabelsRefs: []uint32{1, 2}, Histograms: []writev2.Histogram{bad, good}},
	}})
	d := remotewrite.NewDecoder()
	samples, err := d.V2(body)
	if err != nil || len(samples) != 1 || samples[0].StartUnixMilli != 5 || samples[0].UnixMilli != 9 || d.Skipped() != 1 {
		t.Errorf("%+v, skipped %d, %v", samples, d.Skipped(), err)
	}
	checkCount(t, telemetry.RemoteWrite2, body, d, samples, err)
}

func TestRefusedBodies(t *testing.T) {
	v1 := remotewrite.AppendV1(nil, newGenerator(3).samples())
	v2 := remotewrite.AppendV2(nil, newGenerator(3).samples())
	d := remotewrite.NewDecoder()
	if _, err := d.V1(v2); !errors.Is(err, remotewrite.ErrVersion) {
		t.Errorf("2.0 read as 1.0: %v", err)
	}
	if _, err := d.V2(v1); !errors.Is(err, remotewrite.ErrVersion) {
		t.Errorf("1.0 read as 2.0: %v", err)
	}
	if _, err := d.V2(marshal(t, &writev2.Request{Symbols: []string{"a"}})); !errors.Is(err, remotewrite.ErrSymbols) {
		t.Errorf("symbols that start with another: %v", err)
	}
	for n := range v2 {
		if _, err := d.V2(v2[:n]); err == nil && n > 0 {
			if err := new(writev2.Request).Unmarshal(v2[:n]); err != nil {
				t.Errorf("body cut at %d is taken, prompb says %v", n, err)
			}
		}
	}
	if samples, err := d.V2(nil); err != nil || len(samples) != 0 {
		t.Errorf("an empty body: %d samples, %v", len(samples), err)
	}
	many := protobuf.AppendString(nil, 4<<3|protobuf.Bytes, "")
	many = protobuf.AppendBytes(many, 5<<3|protobuf.Bytes, make([]byte, 0))
	series := make([]byte, 0, 5<<20)
	for range 1<<21 + 1 {
		series = append(series, 2<<3|protobuf.Bytes, 0)
	}
	if _, err := d.V2(protobuf.AppendBytes(many, 5<<3|protobuf.Bytes, series)); !errors.Is(err, remotewrite.ErrTooMany) {
		t.Errorf("more than 2^21 samples: %v", err)
	}
}

// TestExemplarsFindTheirSample: 2.0 allows a TimeSeries with nothing but exemplars.
func TestExemplarsFindTheirSample(t *testing.T) {
	body := marshal(t, &writev2.Request{
		Symbols: []string{"", "__name__", "a", "b", "trace_id", "01", "\xff"},
		Timeseries: []writev2.TimeSeries{
			{LabelsRefs: []uint32{1, 2}, Exemplars: []writev2.Exemplar{{LabelsRefs: []uint32{4, 5}, Value: 1, Timestamp: 8}}},
			{LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Value: 1}, {Value: 2}}},
			{LabelsRefs: []uint32{1, 3}, Exemplars: []writev2.Exemplar{{Value: 9}}},
			{LabelsRefs: []uint32{1, 2}, Exemplars: []writev2.Exemplar{{LabelsRefs: []uint32{4, 6}}}},
		},
	})
	d := remotewrite.NewDecoder()
	samples, err := d.V2(body)
	if err != nil || len(samples) != 2 || d.SkippedExemplars() != 2 {
		t.Fatalf("%d samples, skipped %d exemplars, %v", len(samples), d.SkippedExemplars(), err)
	}
	if e := samples[1].Exemplars; len(e) != 1 || flatExemplar(e[0]) != `  # {trace_id="01"} 3ff0000000000000 8 true` {
		t.Errorf("exemplars %v", e)
	}
}

func TestSeriesAreInterned(t *testing.T) {
	d := remotewrite.NewDecoder()
	symbols := []string{"", "__name__", "up", "job", "node"}
	decode := func(refs ...uint32) *telemetry.Series {
		samples, err := d.V2(marshal(t, &writev2.Request{Symbols: symbols, Timeseries: []writev2.TimeSeries{
			{LabelsRefs: refs, Samples: []writev2.Sample{{Value: math.Float64frombits(value.StaleNaN)}}},
		}}))
		if err != nil || len(samples) != 1 || !value.IsStaleNaN(samples[0].Value) {
			t.Fatal(samples, err)
		}
		return samples[0].Series
	}
	first := decode(1, 2, 3, 4)
	for _, again := range []*telemetry.Series{decode(1, 2, 3, 4), decode(3, 4, 1, 2), decode(3, 4, 1, 2)} {
		if again != first {
			t.Error("the same labels made another Series")
		}
	}
	typed, err := d.V2(marshal(t, &writev2.Request{Symbols: symbols, Timeseries: []writev2.TimeSeries{
		{LabelsRefs: []uint32{1, 2, 3, 4}, Samples: make([]writev2.Sample, 1), Metadata: writev2.Metadata{Type: 1}},
	}}))
	if err != nil || typed[0].Series == first || typed[0].Series.Type != "counter" {
		t.Error("another type made the same Series", err)
	}
	if decode(1, 2) == first || decode(1, 2, 3, 2) == first {
		t.Error("other labels made the same Series")
	}
	body := marshal(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels: []prompb.Label{{Name: "__name__", Value: "up"}, {Name: "job", Value: "node"}}, Samples: make([]prompb.Sample, 1),
	}}})
	samples, err := d.V1(body)
	if err != nil || samples[0].Series != first {
		t.Error("the same labels made another Series in 1.0", err)
	}
	for i := range body {
		body[i] = 'x'
	}
	if first.Labels.String() != `{__name__="up", job="node"}` {
		t.Error("a Series aliases the body")
	}
}
