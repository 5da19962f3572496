package remotewrite_test

import (
	"errors"
	"testing"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
	"github.com/braidhq/braid/wire/remotewrite"
)

// Seeds next to the generated ones are in testdata/fuzz.
const fuzzSeeds = 30

func FuzzV1(f *testing.F) {
	for seed := range uint64(fuzzSeeds) {
		f.Add(remotewrite.AppendV1(nil, newGenerator(seed).samples()))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := remotewrite.NewDecoder()
		samples, err := d.V1(body)
		checkCount(t, telemetry.RemoteWrite1, body, d, samples, err)
		var req prompb.WriteRequest
		if req.Unmarshal(body) == nil {
			if err != nil {
				// prompb is laxer: what it writes again we have to take.
				body = remarshal(t, &req)
				if samples, err = d.V1(body); keptByPrompb(err) {
					return
				}
				if err != nil {
					t.Fatalf("we do not take what prompb marshals: %v", err)
				}
			}
			orphans := hasOrphans(req.Timeseries, func(s prompb.TimeSeries) (int, int) {
				return len(s.Samples) + len(s.Histograms), len(s.Exemplars)
			})
			if want, skipped := fromV1(t, &req); !orphans && len(req.Metadata) == 0 {
				compare(t, 0, flat(samples, false, false), flat(want, false, false))
				if d.Skipped() != skipped {
					t.Fatalf("skipped %d, Prometheus would skip %d", d.Skipped(), skipped)
				}
			}
		}
		if err == nil {
			checkAgain(t, samples)
		}
	})
}

func FuzzV2(f *testing.F) {
	for seed := range uint64(fuzzSeeds) {
		f.Add(remotewrite.AppendV2(nil, newGenerator(seed).samples()))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := remotewrite.NewDecoder()
		samples, err := d.V2(body)
		checkCount(t, telemetry.RemoteWrite2, body, d, samples, err)
		var req writev2.Request
		if req.Unmarshal(body) == nil {
			if err != nil {
				body = remarshal(t, &req)
				if samples, err = d.V2(body); keptByPrompb(err) {
					return
				}
				if err != nil {
					t.Fatalf("we do not take what prompb marshals: %v", err)
				}
			}
			orphans := hasOrphans(req.Timeseries, func(s writev2.TimeSeries) (int, int) {
				return len(s.Samples) + len(s.Histograms), len(s.Exemplars)
			})
			if want, skipped := fromV2(t, &req); !orphans {
				compare(t, 0, flat(samples, true, false), flat(want, true, false))
				if d.Skipped() != skipped {
					t.Fatalf("skipped %d, Prometheus would skip %d", d.Skipped(), skipped)
				}
			}
		}
		if err == nil {
			checkAgain(t, samples)
		}
	})
}

// remarshal returns what prompb makes of req, and reads it back: it writes no negative zeros.
func remarshal(t *testing.T, req interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
	Reset()
}) []byte {
	t.Helper()
	body, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	req.Reset()
	if err := req.Unmarshal(body); err != nil {
		t.Fatal(err)
	}
	return body
}

// keptByPrompb reports an error about what prompb neither looks at nor rewrites: fields unknown to it, among them groups
// and those of the other version, and the first symbol.
func keptByPrompb(err error) bool {
	return errors.Is(err, protobuf.ErrTag) || errors.Is(err, protobuf.ErrVarint) ||
		errors.Is(err, remotewrite.ErrVersion) || errors.Is(err, remotewrite.ErrSymbols)
}

// checkCount holds Count to what the Decoder returned for the same body.
func checkCount(t *testing.T, enc telemetry.Encoding, body []byte, d *remotewrite.Decoder, samples []telemetry.Sample, err error) {
	t.Helper()
	written, countErr := remotewrite.Count(enc, body)
	if (err == nil) != (countErr == nil) {
		t.Fatalf("Decoder says %v, Count says %v", err, countErr)
	}
	if err != nil {
		return
	}
	var histograms, exemplars int
	for _, s := range samples {
		if s.Histogram != nil || s.FloatHistogram != nil {
			histograms++
		}
		exemplars += len(s.Exemplars)
	}
	if written.Samples != len(samples)-histograms || written.Histograms != histograms || written.Skipped != d.Skipped() ||
		written.Exemplars+written.SkippedExemplars != exemplars+d.SkippedExemplars() {
		t.Fatalf("Count says %+v; Decoder has %d samples, %d of them histograms, %d exemplars, skipped %d and %d",
			written, len(samples), histograms, exemplars, d.Skipped(), d.SkippedExemplars())
	}
}

// checkAgain encodes what was decoded in both versions and decodes it again: nothing may be lost or skipped.
func checkAgain(t *testing.T, samples []telemetry.Sample) {
	t.Helper()
	d := remotewrite.NewDecoder()
	again, err := d.V2(remotewrite.AppendV2(nil, samples))
	if err != nil || d.Skipped() != 0 || d.SkippedExemplars() != 0 {
		t.Fatalf("we do not take what we encode: %v, skipped %d and %d", err, d.Skipped(), d.SkippedExemplars())
	}
	if len(again) != len(samples) {
		t.Fatalf("%d samples became %d", len(samples), len(again))
	}
	again, err = d.V1(remotewrite.AppendV1(nil, samples))
	if err != nil || d.Skipped() != 0 || d.SkippedExemplars() != 0 || len(again) != len(samples) {
		t.Fatalf("we do not take what we encode: %v, skipped %d and %d", err, d.Skipped(), d.SkippedExemplars())
	}
}
