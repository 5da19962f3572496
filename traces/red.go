package traces

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/telemetry"
)

// Options of [RED].
type Options struct {
	Registerer prometheus.Registerer // nil: unregistered
	MaxSeries  int                   // 0: 10,000
	// Idle is for how long, in receive time, a series without spans stays. 0: one hour.
	Idle time.Duration
}

const (
	defaultMaxSeries = 10_000
	defaultIdle      = time.Hour
	maxLabelBytes    = 256 // longer services and span names are cut
	overflow         = "(overflow)"
)

// bounds are the upper bounds of the latency histogram in seconds, by powers of two from 2 ms to 16 s.
var bounds = [...]float64{.002, .004, .008, .016, .032, .064, .128, .256, .512, 1.024, 2.048, 4.096, 8.192, 16.384}

type key struct {
	service, name string
	kind          telemetry.SpanKind
	status        telemetry.StatusCode
}

type series struct {
	buckets  [len(bounds) + 1]uint64 // not cumulative; the last one is +Inf
	nanos    float64                 // sum of durations; whole, and so exact, up to 104 days
	received int64                   // of the last span
}

// RED counts calls, errors and durations. Its methods are safe for concurrent use.
type RED struct {
	maxSeries int
	idle      int64

	mu     sync.Mutex
	series map[key]*series
	swept  int64 // receive time of the last look for idle series

	self metrics
}

// NewRED returns a RED without counts.
func NewRED(o Options) *RED {
	if o.MaxSeries <= 0 {
		o.MaxSeries = defaultMaxSeries
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
	r := &RED{maxSeries: o.MaxSeries, idle: int64(o.Idle), series: map[key]*series{}, self: newMetrics()}
	if o.Registerer != nil {
		o.Registerer.MustRegister(r)
	}
	return r
}

// Observe counts the spans of b; those of a replayed batch are in the counts already.
func (r *RED) Observe(b *telemetry.Batch, replayed bool) {
	if replayed || len(b.Spans) == 0 {
		return
	}
	service := ""
	if b.Resource != nil {
		service = b.Resource.Service
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b.Spans {
		s := &b.Spans[i]
		found := r.find(key{service, s.Name, s.Kind, s.Status})
		nanos := float64(max(s.EndUnixNano-s.StartUnixNano, 0))
		found.buckets[bucket(nanos/1e9)]++
		found.nanos += nanos
		found.received = max(found.received, b.ReceivedUnixNano)
	}
	r.sweep(b.ReceivedUnixNano)
}

// bucket returns the index of the first bound that is not below seconds.
func bucket(seconds float64) int {
	for i, bound := range bounds {
		if seconds <= bound {
			return i
		}
	}
	return len(bounds)
}

// find returns the series of k, whose strings are lent.
func (r *RED) find(k key) *series {
	if s := r.series[k]; s != nil {
		return s
	}
	k.service, k.name = label(k.service), label(k.name)
	if k.kind > telemetry.SpanKindConsumer { // what a newer OTLP may add has the name of the unspecified
		k.kind = telemetry.SpanKindUnspecified
	}
	if k.status > telemetry.StatusError {
		k.status = telemetry.StatusUnset
	}
	if s := r.series[k]; s != nil {
		return s
	}
	if len(r.series) >= r.maxSeries && k.service != overflow {
		r.self.overflow.Inc()
		return r.find(key{overflow, overflow, k.kind, k.status})
	}
	s := &series{}
	r.series[k] = s
	return s
}

// label returns a copy of s that can be a label's value.
func label(s string) string {
	return strings.Clone(strings.ToValidUTF8(s[:min(len(s), maxLabelBytes)], "\uFFFD"))
}

// sweep forgets the series that have been idle for too long, looking once in a tenth of that time.
func (r *RED) sweep(now int64) {
	if now-r.swept < r.idle/10 {
		return
	}
	r.swept = now
	for k, s := range r.series {
		if now-s.received > r.idle {
			delete(r.series, k)
		}
	}
}
