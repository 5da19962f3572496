package tally

import (
	"hash/maphash"
	"math"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
)

var seed = maphash.MakeSeed()

// A Fingerprint stands for one record.
type Fingerprint struct{ ID, Content uint64 }

// mix folds x into h. It is not commutative, and every bit of x moves about half of the result's (the finish of
// splitmix64), so that sums of results tell sets apart.
func mix(h, x uint64) uint64 {
	h = (h ^ x) + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func text(s string) uint64 { return maphash.String(seed, s) }

// Line returns the fingerprint of a line of the pod with podUID; its time is its identity there.
func Line(podUID string, l *telemetry.Log) Fingerprint {
	id := mix(text(podUID), uint64(l.UnixNano))
	return Fingerprint{id, mix(mix(id, uint64(l.Stream)), maphash.Bytes(seed, l.Body))}
}

// Series returns the hash of a series' labels, those left out that say who scraped.
func Series(ls labels.Labels) uint64 {
	var sum uint64 // of the labels, in any order
	ls.Range(func(l labels.Label) {
		if l.Name == "job" || strings.HasPrefix(l.Name, "otel_scope_") {
			return
		}
		sum += mix(text(l.Name), text(l.Value))
	})
	return mix(0, sum)
}

// Sample returns the fingerprint of a sample of series.
func Sample(series uint64, unixMilli int64, value float64) Fingerprint {
	return Fingerprint{mix(series, uint64(unixMilli)), mix(series, math.Float64bits(value))}
}

// Span returns the fingerprint of a span of service.
func Span(service string, s *telemetry.Span) Fingerprint {
	id := mix(maphash.Bytes(seed, s.TraceID[:]), maphash.Bytes(seed, s.SpanID[:]))
	var attrs uint64
	for i := range s.Attrs {
		a := &s.Attrs[i]
		value := mix(text(a.Value.Str), uint64(a.Value.Int)^math.Float64bits(a.Value.Float))
		attrs += mix(mix(text(a.Key), uint64(a.Value.Kind)), value)
	}
	h := mix(id, text(service))
	for _, x := range [...]uint64{
		maphash.Bytes(seed, s.ParentID[:]), text(s.Name), uint64(s.Kind), uint64(s.Status), text(s.StatusMessage),
		uint64(s.StartUnixNano), uint64(s.EndUnixNano), attrs,
	} {
		h = mix(h, x)
	}
	return Fingerprint{id, h}
}
