package remotewrite

import (
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	wire "github.com/braidhq/braid/wire/remotewrite"
)

// maxPlainBytes bounds a frame decompressed: far above what any receiver takes, so it only stops a broken one.
const maxPlainBytes = 1 << 30

// A converter turns a frame into a request of another version or with other labels. It keeps its memory.
type converter struct {
	decoder       *wire.Decoder
	encoder       wire.Encoder
	plain, packed []byte
	recoded       []byte
	relabelled    map[*telemetry.Series]*telemetry.Series // of one frame; nil: dropped
}

// count returns what f holds; nothing if it does not read, which is for its receiver to say.
func (c *converter) count(f *telemetry.Frame) wire.Written {
	plain, err := compression.Decompress(c.plain[:0], f.Body, f.Compression, maxPlainBytes)
	if err != nil {
		return wire.Written{}
	}
	c.plain = plain
	written, err := wire.Count(f.Encoding, plain)
	if err != nil {
		return wire.Written{}
	}
	return wire.Written{Samples: written.Samples, Histograms: written.Histograms, Exemplars: written.Exemplars}
}

// convert returns f as a snappy body of version, and what is in it. The body is valid until the next call.
func (c *converter) convert(f *telemetry.Frame, version telemetry.Encoding, rules []*relabel.Config) ([]byte, wire.Written, error) {
	plain, err := compression.Decompress(c.plain[:0], f.Body, f.Compression, maxPlainBytes)
	if err != nil {
		return nil, wire.Written{}, fmt.Errorf("cannot convert a frame: %w", err)
	}
	c.plain = plain
	decode := c.decoder.V1
	if f.Encoding == telemetry.RemoteWrite2 {
		decode = c.decoder.V2
	}
	samples, err := decode(plain)
	if err != nil {
		return nil, wire.Written{}, fmt.Errorf("cannot convert a frame: %w", err)
	}
	if len(rules) > 0 {
		samples = c.apply(rules, samples)
	}
	if version == telemetry.RemoteWrite1 {
		c.recoded = c.encoder.AppendV1(c.recoded[:0], samples)
	} else {
		c.recoded = c.encoder.AppendV2(c.recoded[:0], samples)
	}
	c.packed = compression.Compress(c.packed[:0], c.recoded, telemetry.Snappy)
	return c.packed, countSamples(samples), nil
}

// apply relabels samples in place, as Prometheus does in front of its remote write: metadata stays with the series,
// and a series without labels or dropped by a rule goes with its samples.
func (c *converter) apply(rules []*relabel.Config, samples []telemetry.Sample) []telemetry.Sample {
	if c.relabelled == nil {
		c.relabelled = map[*telemetry.Series]*telemetry.Series{}
	}
	clear(c.relabelled)
	builder := labels.NewBuilder(labels.EmptyLabels())
	kept := samples[:0]
	for _, s := range samples {
		series, seen := c.relabelled[s.Series]
		if !seen {
			builder.Reset(s.Series.Labels)
			if relabel.ProcessBuilder(builder, rules...) {
				if ls := builder.Labels(); !ls.IsEmpty() {
					series = &telemetry.Series{Labels: ls, Type: s.Series.Type, Unit: s.Series.Unit, Help: s.Series.Help}
				}
			}
			c.relabelled[s.Series] = series
		}
		if series != nil {
			s.Series = series
			kept = append(kept, s)
		}
	}
	return kept
}

func countSamples(samples []telemetry.Sample) (n wire.Written) {
	for i := range samples {
		if samples[i].Histogram != nil || samples[i].FloatHistogram != nil {
			n.Histograms++
		} else {
			n.Samples++
		}
		n.Exemplars += len(samples[i].Exemplars)
	}
	return n
}
