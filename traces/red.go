package traces

import (
	"math"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/telemetry"
)

// Options of [RED].
type Options struct {
	Registerer prometheus.Registerer // nil: unregistered
	MaxSeries  int                   // 0: 10,000; as many targets
	Cluster    string                // label cluster of every series; "": none
	// Idle is for how long, in receive time, a series without spans stays. 0: one hour.
	Idle time.Duration
	// Histograms is the kind of the latency; Buckets are the upper bounds of a classic one in seconds, see
	// [CheckBuckets] (nil: powers of two from 2 ms to 16 s).
	Histograms Histograms
	Buckets    []float64
	// Dimensions are attributes that become labels, of the span or else of its resource; see [CheckDimensions].
	Dimensions []string
	// ExemplarHold is for how long, in receive time, a candidate waits for its trace's verdict and the next export.
	// 0: 30 seconds.
	ExemplarHold time.Duration
}

const (
	defaultMaxSeries    = 10_000
	defaultIdle         = time.Hour
	defaultExemplarHold = 30 * time.Second
)

// A redSeries counts the spans of one combination of labels. Its key is what the map knows it by.
type redSeries struct {
	key      string
	latency  durations // its count is that of calls
	start    int64     // receive time of the first span; 0: unknown
	received int64     // of the last one
	candidates
	identity *redIdentity // once it has been exported
}

// RED counts calls, errors and durations. Its methods are safe for concurrent use.
type RED struct {
	maxSeries  int
	idle       int64
	hold       int64
	shape      shape
	dimensions []string
	calls      family
	latency    family
	target     family

	mu         sync.Mutex
	series     map[string]*redSeries
	targets    targets
	overflowed [6][3]*redSeries // by kind and status
	swept      int64            // receive time of the last look for idle series
	gone       []*redSeries     // exported and then idle: they want a stale marker

	key       []byte            // scratch: the key of a span
	fallbacks []telemetry.Value // scratch: the dimensions' values of a batch's resource

	exporting sync.Mutex
	self      redMetrics
	described descs
}

// NewRED returns a RED without counts. It panics on what [CheckDimensions] or [CheckBuckets] refuses.
func NewRED(o Options) *RED {
	if err := CheckDimensions(o.Dimensions); err != nil {
		panic("BUG: " + err.Error())
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = defaultMaxSeries
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
	if o.ExemplarHold <= 0 {
		o.ExemplarHold = defaultExemplarHold
	}
	r := &RED{
		maxSeries: o.MaxSeries, idle: int64(o.Idle), hold: int64(o.ExemplarHold), dimensions: o.Dimensions,
		shape: newShape(o.Histograms, o.Buckets), series: map[string]*redSeries{}, targets: newTargets(), self: newREDMetrics(),
		fallbacks: make([]telemetry.Value, len(o.Dimensions)),
	}
	r.describe(o.Cluster)
	if o.Registerer != nil {
		o.Registerer.MustRegister(r, r.Self())
	}
	return r
}

// Attributes are the span attributes that Observe looks at.
func (r *RED) Attributes() []string { return r.dimensions }

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
	r.observeTarget(b)
	for i, name := range r.dimensions {
		r.fallbacks[i] = resourceValue(b.Resource, name)
	}
	r.key = appendValue(r.key[:0], cut(service))
	prefix := len(r.key)
	for i := range b.Spans {
		s := &b.Spans[i]
		nanos := r.measure(s)
		found := r.find(s, prefix, b.ReceivedUnixNano)
		found.latency.observe(nanos, &r.shape)
		found.received = max(found.received, b.ReceivedUnixNano)
		found.consider(s, nanos, b.ReceivedUnixNano, r.hold)
	}
	r.sweep(b.ReceivedUnixNano)
}

// measure returns how long s took, in nanoseconds, and counts what is wrong with it.
func (r *RED) measure(s *telemetry.Span) int64 {
	if s.TraceID.IsZero() || s.SpanID.IsZero() {
		r.self.zeroID.Inc()
	}
	if len(s.Name) > maxLabelBytes {
		r.self.longName.Inc()
	}
	nanos, ok := spanNanos(s)
	if !ok {
		r.self.times.Inc()
	}
	return nanos
}

// spanNanos returns how long s took: 0, and false, if it has no start or an end before it.
func spanNanos(s *telemetry.Span) (int64, bool) {
	if s.StartUnixNano == 0 && s.EndUnixNano != 0 || s.EndUnixNano < s.StartUnixNano {
		return 0, false
	}
	if nanos := s.EndUnixNano - s.StartUnixNano; nanos >= 0 {
		return nanos, true
	}
	return math.MaxInt64, true // from far before 1970 to far beyond it
}

// find returns the series of s, whose strings are lent. The first prefix bytes of r.key are the service.
func (r *RED) find(s *telemetry.Span, prefix int, received int64) *redSeries {
	key := appendValue(r.key[:prefix], cut(s.Name))
	key = appendValue(key, s.Kind.String())
	key = appendValue(key, s.Status.String())
	for i, name := range r.dimensions {
		v, ok := telemetry.Find(s.Attrs, name)
		if !ok {
			v = r.fallbacks[i]
		}
		key = appendAttr(key, v)
	}
	r.key = key
	if found := r.series[string(key)]; found != nil {
		return found
	}
	return r.miss(s, received)
}

// miss returns the series of r.key, which is not one that is there as it is.
func (r *RED) miss(s *telemetry.Span, received int64) *redSeries {
	n := len(r.calls.labels)
	key := string(r.key)
	if !isKey(key, n) {
		r.self.notUTF8.Inc()
		key = cleanKey(key, n)
		if found := r.series[key]; found != nil {
			return found
		}
	}
	if len(r.series) < r.maxSeries {
		return r.add(key, received)
	}
	return r.overflow(s, received)
}

func (r *RED) add(key string, received int64) *redSeries {
	s := &redSeries{key: key, latency: newDurations(&r.shape), start: received, received: received}
	r.series[key] = s
	return s
}

// overflow returns the series for what has no room, one for each kind and status.
func (r *RED) overflow(s *telemetry.Span, received int64) *redSeries {
	r.self.overflow.Inc()
	kind, status := s.Kind, s.Status
	if int(kind) >= len(r.overflowed) {
		kind = telemetry.SpanKindUnspecified
	}
	if int(status) >= len(r.overflowed[kind]) {
		status = telemetry.StatusUnset
	}
	if found := r.overflowed[kind][status]; found != nil {
		return found
	}
	key := overflowKey(kind, status, len(r.dimensions))
	found := r.series[key]
	if found == nil {
		found = r.add(key, received)
	}
	r.overflowed[kind][status] = found
	return found
}

func overflowKey(kind telemetry.SpanKind, status telemetry.StatusCode, dimensions int) string {
	key := appendValue(appendValue(nil, overflow), overflow)
	key = appendValue(appendValue(key, kind.String()), status.String())
	return string(key) + strings.Repeat("\x00", dimensions)
}

// sweep forgets the series and targets that have been idle for too long, looking once in a tenth of that time.
func (r *RED) sweep(now int64) {
	if now-r.swept < r.idle/10 {
		return
	}
	r.swept = now
	for key, s := range r.series {
		if now-s.received <= r.idle {
			continue
		}
		delete(r.series, key)
		r.self.expired.Inc()
		if s.identity != nil {
			r.gone = append(r.gone, s)
		}
	}
	clear(r.overflowed[:])
	r.targets.sweep(now, r.idle)
}
