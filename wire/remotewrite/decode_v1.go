package remotewrite

import (
	"fmt"
	"github.com/prometheus/common/model"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// V1 decodes a prometheus.WriteRequest. The result is lent until the next call and aliases nothing of body; its Series,
// histograms and exemplars may be kept.
func (d *Decoder) V1(body []byte) ([]telemetry.Sample, error) {
	d.reset()
	if err := d.v1(body); err != nil {
		return nil, fmt.Errorf("cannot decode remote-write 1.0: %w", err)
	}
	d.giveExemplars()
	return d.samples, nil
}

func (d *Decoder) v1(body []byte) error {
	// Metadata usually stands behind the series it is for.
	r := protobuf.Read(body)
	for r.Next() {
		switch r.Tag {
		case v1Metadata:
			if err := d.v1Metadata(r.Data); err != nil {
				return fmt.Errorf("cannot read metadata: %w", err)
			}
		case v1Series:
		default:
			if number := r.Tag >> 3; number == v2Symbols>>3 || number == v2Series>>3 {
				return ErrVersion
			}
			r.Skip(knownV1Request)
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	for r = protobuf.Read(body); r.Next(); {
		if r.Tag != v1Series {
			continue
		}
		if err := d.v1Series(r.Data); err != nil {
			return fmt.Errorf("cannot read series: %w", err)
		}
	}
	return nil
}

func (d *Decoder) v1Metadata(data []byte) error {
	var family string
	var m metadata
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case v1MetadataType:
			m.kind = metricType(r.Bits)
		case v1MetadataFamily:
			family = text(r.Data)
		case v1MetadataHelp:
			m.help = text(r.Data)
		case v1MetadataUnit:
			m.unit = text(r.Data)
		default:
			r.Skip(knownV1Metadata)
		}
	}
	if d.families == nil {
		d.families = make(map[string]metadata)
	}
	d.families[family] = m
	return r.Err()
}

func (d *Decoder) v1Series(data []byte) error {
	d.begin()
	var err error
	r := protobuf.Read(data)
	for err == nil && r.Next() {
		switch r.Tag {
		case v1SeriesLabels:
			d.current.labels, err = appendLabel(d.current.labels, r.Data)
		case v1SeriesSamples:
			err = d.sample(r.Data, false)
		case v1SeriesExemplars:
			err = d.exemplar(r.Data, false)
		case v1SeriesHistograms:
			err = d.histogramSample(r.Data, false)
		default:
			r.Skip(knownV1Series)
		}
	}
	if err != nil {
		return err
	}
	if err := r.Err(); err != nil {
		return err
	}
	if len(d.families) > 0 {
		d.current.meta = d.familyOf(d.current.labels)
	}
	d.end()
	return nil
}

// familyOf returns the metadata of the family that a series of these labels belongs to.
func (d *Decoder) familyOf(ls []labels.Label) metadata {
	for _, l := range ls {
		if l.Name != model.MetricNameLabel {
			continue
		}
		if m, ok := d.families[l.Value]; ok {
			return m
		}
		return d.families[familyName(l.Value)]
	}
	return metadata{}
}

// appendLabel reads a Label of 1.0.
func appendLabel(dst []labels.Label, data []byte) ([]labels.Label, error) {
	var l labels.Label
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case v1LabelName:
			l.Name = text(r.Data)
		case v1LabelValue:
			l.Value = text(r.Data)
		default:
			r.Skip(knownV1Label)
		}
	}
	if len(dst) <= maxLabels {
		dst = append(dst, l)
	}
	return dst, r.Err()
}
