package remotewrite_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/remotewrite"
)

// scraped returns 2,000 samples of one target, ten labels each, as a scrape yields them.
func scraped() []telemetry.Sample {
	var samples []telemetry.Sample
	for family := range 50 {
		for i := range 40 {
			samples = append(samples, telemetry.Sample{
				Series: &telemetry.Series{
					Labels: labels.FromStrings("__name__", fmt.Sprintf("http_server_requests_%d_total", family),
						"cluster", "demo", "namespace", "shop", "pod", "checkout-7d9f8b6c5-x2x4q", "container", "server",
						"node", "node-1", "job", "kubernetes-pods", "instance", "10.244.0.17:8080",
						"code", fmt.Sprint(200+i%5), "path", fmt.Sprintf("/cart/%d", i/5)),
					Type: model.MetricTypeCounter, Help: fmt.Sprintf("Requests of kind %d.", family),
				},
				UnixMilli: 1795219578243, StartUnixMilli: 1795200000000, Value: float64(family * i),
			})
		}
	}
	return samples
}

func perSample(b *testing.B, bytes, samples int) {
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(samples), "ns/sample")
}

func BenchmarkAppendV2(b *testing.B) {
	samples := scraped()
	var e remotewrite.Encoder
	var dst []byte
	for b.Loop() {
		dst = e.AppendV2(dst[:0], samples)
	}
	perSample(b, len(dst), len(samples))
}

func BenchmarkPrompbMarshalV2(b *testing.B) {
	samples := scraped()
	table := writev2.NewSymbolTable()
	var req writev2.Request
	var dst []byte
	for b.Loop() {
		table.Reset()
		req.Timeseries = req.Timeseries[:0]
		for i := range samples {
			s := &samples[i]
			req.Timeseries = append(req.Timeseries, writev2.TimeSeries{
				LabelsRefs: table.SymbolizeLabels(s.Series.Labels, nil),
				Samples:    []writev2.Sample{{Value: s.Value, Timestamp: s.UnixMilli, StartTimestamp: s.StartUnixMilli}},
				Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: table.Symbolize(s.Series.Help)},
			})
		}
		req.Symbols = table.Symbols()
		var err error
		if dst, err = req.OptimizedMarshal(dst); err != nil {
			b.Fatal(err)
		}
	}
	perSample(b, len(dst), len(samples))
}

func BenchmarkAppendV1(b *testing.B) {
	samples := scraped()
	var e remotewrite.Encoder
	var dst []byte
	for b.Loop() {
		dst = e.AppendV1(dst[:0], samples)
	}
	perSample(b, len(dst), len(samples))
}

func BenchmarkDecode(b *testing.B) {
	samples := scraped()
	d := remotewrite.NewDecoder()
	for _, version := range []struct {
		name   string
		body   []byte
		decode func([]byte) ([]telemetry.Sample, error)
	}{{"V1", remotewrite.AppendV1(nil, samples), d.V1}, {"V2", remotewrite.AppendV2(nil, samples), d.V2}} {
		b.Run(version.name, func(b *testing.B) {
			for b.Loop() {
				if got, err := version.decode(version.body); err != nil || len(got) != len(samples) {
					b.Fatal(len(got), err)
				}
			}
			perSample(b, len(version.body), len(samples))
		})
	}
}

func BenchmarkCount(b *testing.B) {
	samples := scraped()
	for enc, body := range map[telemetry.Encoding][]byte{
		telemetry.RemoteWrite1: remotewrite.AppendV1(nil, samples),
		telemetry.RemoteWrite2: remotewrite.AppendV2(nil, samples),
	} {
		b.Run(fmt.Sprintf("V%d", enc-1), func(b *testing.B) {
			for b.Loop() {
				if w, err := remotewrite.Count(enc, body); err != nil || w.Samples != len(samples) {
					b.Fatal(w, err)
				}
			}
			perSample(b, len(body), len(samples))
		})
	}
}

// The same work by prompb: unmarshal and build labels.
func BenchmarkPrompbDecode(b *testing.B) {
	samples := scraped()
	builder := labels.NewScratchBuilder(16)
	v1, v2 := remotewrite.AppendV1(nil, samples), remotewrite.AppendV2(nil, samples)
	b.Run("V1", func(b *testing.B) {
		for b.Loop() {
			var req prompb.WriteRequest
			if err := req.Unmarshal(v1); err != nil {
				b.Fatal(err)
			}
			for _, ts := range req.Timeseries {
				ts.ToLabels(&builder, nil)
			}
		}
		perSample(b, len(v1), len(samples))
	})
	b.Run("V2", func(b *testing.B) {
		for b.Loop() {
			var req writev2.Request
			if err := req.Unmarshal(v2); err != nil {
				b.Fatal(err)
			}
			for _, ts := range req.Timeseries {
				if _, err := ts.ToLabels(&builder, req.Symbols); err != nil {
					b.Fatal(err)
				}
			}
		}
		perSample(b, len(v2), len(samples))
	})
}

// The steady state of float samples allocates nothing: not per sample, and not per call either.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	samples := scraped()
	var e remotewrite.Encoder
	d := remotewrite.NewDecoder()
	v1, v2 := e.AppendV1(nil, samples), e.AppendV2(nil, samples)
	dst := make([]byte, 0, 2*len(v1))
	for name, run := range map[string]func() error{
		"Encoder.AppendV1": func() error { e.AppendV1(dst, samples); return nil },
		"Encoder.AppendV2": func() error { e.AppendV2(dst, samples); return nil },
		"Decoder.V2":       func() error { _, err := d.V2(v2); return err },
	} {
		if n := testing.AllocsPerRun(20, func() {
			if err := run(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a call", name, n)
		}
	}
	// 1.0 bodies with metadata fill a map; those without, the usual ones, do not.
	for i := range samples {
		bare := *samples[i].Series
		bare.Type, bare.Help = "", ""
		samples[i].Series = &bare
	}
	v1 = e.AppendV1(nil, samples)
	if n := testing.AllocsPerRun(20, func() {
		if _, err := d.V1(v1); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Decoder.V1: %v allocations a call", n)
	}
}
