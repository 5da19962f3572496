package remotewrite

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// AppendV1 appends a prometheus.WriteRequest to dst: one TimeSeries for each run of samples of one *Series, then the
// metadata of each metric family that has any. Start timestamps are lost: 1.0 has no place for them.
func (e *Encoder) AppendV1(dst []byte, samples []telemetry.Sample) []byte {
	withMetadata := false
	for i := 0; i < len(samples); {
		end := groupEnd(samples, i)
		var series int
		dst, series = protobuf.OpenShort(dst, v1Series)
		dst = appendLabelsV1(dst, v1SeriesLabels, samples[i].Series.Labels)
		for j := i; j < end; j++ {
			if hasHistogram(&samples[j]) {
				dst = appendHistogram(dst, v1SeriesHistograms, &samples[j], 0)
			} else {
				dst = appendSample(dst, v1SeriesSamples, &samples[j], 0)
			}
			for k := range samples[j].Exemplars {
				x := &samples[j].Exemplars[k]
				var message int
				dst, message = protobuf.OpenShort(dst, v1SeriesExemplars)
				dst = appendLabelsV1(dst, exemplarLabels, x.Labels)
				dst = appendExemplarValue(dst, x)
				dst = protobuf.CloseShort(dst, message)
			}
		}
		dst = protobuf.CloseShort(dst, series)
		withMetadata = withMetadata || hasMetadata(samples[i].Series)
		i = end
	}
	if withMetadata {
		dst = e.appendFamilies(dst, samples)
	}
	return dst
}

func appendLabelsV1(dst []byte, tag protobuf.Tag, ls labels.Labels) []byte {
	ls.Range(func(l labels.Label) {
		dst = protobuf.AppendLen(dst, tag, protobuf.SizeBytes(len(l.Name))+protobuf.SizeBytes(len(l.Value)))
		dst = protobuf.AppendString(dst, v1LabelName, l.Name)
		dst = protobuf.AppendString(dst, v1LabelValue, l.Value)
	})
	return dst
}

func hasMetadata(s *telemetry.Series) bool {
	return s.Help != "" || s.Unit != "" || metricTypeNumber(s.Type) != 0
}

// appendFamilies appends a MetricMetadata for each family, said by its first series that has metadata.
func (e *Encoder) appendFamilies(dst []byte, samples []telemetry.Sample) []byte {
	if e.families == nil {
		e.families = make(map[string]struct{})
	}
	clear(e.families)
	for i := range samples {
		s := samples[i].Series
		if i > 0 && s == samples[i-1].Series || !hasMetadata(s) {
			continue
		}
		family := metricName(s.Labels)
		if s.Type == model.MetricTypeHistogram || s.Type == model.MetricTypeSummary ||
			s.Type == model.MetricTypeGaugeHistogram {
			family = familyName(family)
		}
		if _, ok := e.families[family]; ok {
			continue
		}
		e.families[family] = struct{}{}
		dst = appendMetadataV1(dst, family, s)
	}
	return dst
}

func appendMetadataV1(dst []byte, family string, s *telemetry.Series) []byte {
	dst, start := protobuf.OpenShort(dst, v1Metadata)
	if t := metricTypeNumber(s.Type); t != 0 {
		dst = protobuf.AppendTagged(dst, v1MetadataType, t)
	}
	dst = protobuf.AppendString(dst, v1MetadataFamily, family)
	if s.Help != "" {
		dst = protobuf.AppendString(dst, v1MetadataHelp, s.Help)
	}
	if s.Unit != "" {
		dst = protobuf.AppendString(dst, v1MetadataUnit, s.Unit)
	}
	return protobuf.CloseShort(dst, start)
}
