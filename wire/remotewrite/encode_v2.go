package remotewrite

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// keepSymbols is the size beyond which tables grown by one extraordinary body are given back after it.
const keepSymbols = 1 << 16

// AppendV2 appends an io.prometheus.write.v2.Request to dst: its own symbol table, then one TimeSeries for each run of
// samples of one *Series. Symbols stand in front, since some receivers read a body in one pass.
func (e *Encoder) AppendV2(dst []byte, samples []telemetry.Sample) []byte {
	e.resetSymbols()
	for i := 0; i < len(samples); {
		end := groupEnd(samples, i)
		e.collect(samples[i:end])
		i = end
	}
	for _, s := range e.symbols {
		dst = protobuf.AppendString(dst, v2Symbols, s)
	}
	refs := e.used
	for i := 0; i < len(samples); {
		end := groupEnd(samples, i)
		dst, refs = appendSeriesV2(dst, samples[i:end], refs)
		i = end
	}
	return dst
}

func (e *Encoder) resetSymbols() {
	if e.refs == nil || len(e.symbols) > keepSymbols {
		*e = Encoder{refs: make(map[string]uint32)}
	}
	clear(e.refs)
	clear(e.symbols)
	e.refs[""] = 0
	e.symbols = append(e.symbols[:0], "")
	e.used, e.previous = e.used[:0], e.previous[:0]
}

// collect adds the symbols of a group, and their references in the order in which appendSeriesV2 takes them: the
// labels' number and references, help, unit, and of each exemplar again number and references.
//
// Neighbours share most of their labels, so each text is compared with the one at its place in the series before,
// which costs a fifth of finding it in the table.
func (e *Encoder) collect(group []telemetry.Sample) {
	s := group[0].Series
	start := len(e.used)
	e.used = append(e.used, 0)
	s.Labels.Range(func(l labels.Label) {
		i := len(e.used) - start - 1
		if i+1 < len(e.previous) {
			e.used = append(e.used, e.near(e.previous[i], l.Name), e.near(e.previous[i+1], l.Value))
		} else {
			e.used = append(e.used, e.ref(l.Name), e.ref(l.Value))
		}
	})
	end := len(e.used)
	e.used[start] = uint32(end - start - 1)
	e.previous = append(e.previous[:0], e.used[start+1:end]...)
	e.used = append(e.used, e.ref(s.Help), e.ref(s.Unit))
	for i := range group {
		for j := range group[i].Exemplars {
			start := len(e.used)
			e.used = append(e.used, 0)
			group[i].Exemplars[j].Labels.Range(func(l labels.Label) {
				e.used = append(e.used, e.ref(l.Name), e.ref(l.Value))
			})
			e.used[start] = uint32(len(e.used) - start - 1)
		}
	}
}

// near is ref with a guess.
func (e *Encoder) near(guess uint32, s string) uint32 {
	if e.symbols[guess] == s {
		return guess
	}
	return e.ref(s)
}

func (e *Encoder) ref(s string) uint32 {
	if s == "" {
		return 0
	}
	if ref, ok := e.refs[s]; ok {
		return ref
	}
	ref := uint32(len(e.symbols))
	e.symbols = append(e.symbols, s)
	e.refs[s] = ref
	return ref
}

// appendSeriesV2 appends the TimeSeries of a group and returns the references it left.
func appendSeriesV2(dst []byte, group []telemetry.Sample, refs []uint32) ([]byte, []uint32) {
	dst, series := protobuf.OpenShort(dst, v2Series)
	dst, refs = appendRefsV2(dst, v2SeriesLabels, refs)
	help, unit := refs[0], refs[1]
	refs = refs[2:]
	for i := range group {
		if hasHistogram(&group[i]) {
			dst = appendHistogram(dst, v2SeriesHistograms, &group[i], group[i].StartUnixMilli)
		} else {
			dst = appendSample(dst, v2SeriesSamples, &group[i], group[i].StartUnixMilli)
		}
	}
	for i := range group {
		for j := range group[i].Exemplars {
			var message int
			dst, message = protobuf.OpenShort(dst, v2SeriesExemplars)
			dst, refs = appendRefsV2(dst, exemplarLabels, refs)
			dst = appendExemplarValue(dst, &group[i].Exemplars[j])
			dst = protobuf.CloseShort(dst, message)
		}
	}
	dst = appendMetadataV2(dst, metricTypeNumber(group[0].Series.Type), help, unit)
	return protobuf.CloseShort(dst, series), refs
}

// appendRefsV2 appends the packed references that refs starts with, and returns the rest of refs.
func appendRefsV2(dst []byte, tag protobuf.Tag, refs []uint32) ([]byte, []uint32) {
	n := int(refs[0])
	refs = refs[1:]
	if n == 0 {
		return dst, refs
	}
	dst, start := protobuf.OpenShort(dst, tag)
	for _, ref := range refs[:n] {
		dst = protobuf.AppendVarint(dst, uint64(ref))
	}
	return protobuf.CloseShort(dst, start), refs[n:]
}

func appendMetadataV2(dst []byte, kind uint64, help, unit uint32) []byte {
	if kind == 0 && help == 0 && unit == 0 {
		return dst
	}
	dst, start := protobuf.OpenShort(dst, v2SeriesMetadata)
	if kind != 0 {
		dst = protobuf.AppendTagged(dst, v2MetadataType, kind)
	}
	if help != 0 {
		dst = protobuf.AppendTagged(dst, v2MetadataHelp, uint64(help))
	}
	if unit != 0 {
		dst = protobuf.AppendTagged(dst, v2MetadataUnit, uint64(unit))
	}
	return protobuf.CloseShort(dst, start)
}
