package input

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/braidhq/braid/bench/tally"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

const (
	spansPerTrace  = 10
	tracesPerBatch = 50
)

var services = []string{"frontend", "checkout", "cart", "payment", "inventory", "shipping", "email", "currency", "catalog", "ads"}

// A Trace is what is known of one trace that was made.
type Trace struct {
	Truth tally.Truth
	Error bool
	Took  time.Duration // from the first start to the last end
}

// A Call is what calls are counted by.
type Call struct{ Service, Name, Kind, Status string }

// Spans are batches of traces: five services in a chain, each with a server span and the client span of its call to the
// next, one trace in fifty with an error at its end. It is not for concurrent use.
type Spans struct {
	Traces map[telemetry.TraceID]Trace
	Calls  map[Call]uint64

	r         *rand.Rand
	now       time.Time
	resources []*telemetry.Resource
	batches   []*telemetry.Batch // of the body under way, by service
	names     [][]string
	attrs     [][][]telemetry.Attr // by service and operation; the last is the status code
}

// NewSpans returns an input whose traces ended shortly before now.
func NewSpans(seed uint64, now time.Time) *Spans {
	s := &Spans{Traces: map[telemetry.TraceID]Trace{}, Calls: map[Call]uint64{}, r: rand.New(rand.NewPCG(seed, 0)), now: now}
	for _, service := range services {
		pod := service + "-7d9c5b6f4-x2x9z"
		s.resources = append(s.resources, &telemetry.Resource{
			Namespace: "shop", Pod: pod, Node: "node-1", Service: service, ServiceVersion: "1.4.2", Restart: -1,
			Attrs: []telemetry.Attr{{Key: "telemetry.sdk.language", Value: telemetry.String("go")}},
		})
		s.batches = append(s.batches, &telemetry.Batch{})
		var names []string
		var attrs [][]telemetry.Attr
		for op := range 5 {
			path := fmt.Sprintf("/api/v1/%s/op%d", service, op)
			names = append(names, "GET "+path)
			attrs = append(attrs, []telemetry.Attr{
				{Key: "http.request.method", Value: telemetry.String("GET")}, {Key: "url.path", Value: telemetry.String(path)},
				{Key: "http.route", Value: telemetry.String("/api/v1/{svc}/{op}")}, {Key: "server.address", Value: telemetry.String(service + ".shop.svc.cluster.local")},
				{Key: "network.protocol.version", Value: telemetry.String("1.1")}, {Key: "user_agent.original", Value: telemetry.String("Go-http-client/1.1")},
				{Key: "http.response.status_code", Value: telemetry.Int(200)},
			})
		}
		s.names, s.attrs = append(s.names, names), append(s.attrs, attrs)
	}
	return s
}

// Next returns an ExportTraceServiceRequest of the next 500 spans.
func (s *Spans) Next() []byte {
	for i := range s.batches {
		*s.batches[i] = telemetry.Batch{
			Resource: s.resources[i], Spans: s.batches[i].Spans[:0],
			Scope: telemetry.Scope{Name: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"},
		}
	}
	for range tracesPerBatch {
		s.trace()
	}
	return otlp.AppendSpans(nil, s.batches)
}

func (s *Spans) trace() {
	var id telemetry.TraceID
	binary.LittleEndian.PutUint64(id[:], s.r.Uint64())
	binary.LittleEndian.PutUint64(id[8:], s.r.Uint64())
	start := s.now.Add(-time.Duration(s.r.IntN(1000)) * time.Millisecond)
	took := time.Duration(5+s.r.IntN(800)) * time.Millisecond
	known := Trace{Error: s.r.IntN(50) == 0, Took: took}
	first := s.r.IntN(len(services) - spansPerTrace/2 + 1)
	var parent telemetry.SpanID
	for i := range spansPerTrace {
		at := first + i/2
		span := telemetry.Span{
			TraceID: id, ParentID: parent, Kind: [2]telemetry.SpanKind{telemetry.SpanKindServer, telemetry.SpanKindClient}[i%2],
			StartUnixNano: start.UnixNano(), EndUnixNano: start.Add(took).UnixNano(),
		}
		binary.LittleEndian.PutUint64(span.SpanID[:], s.r.Uint64())
		op := s.r.IntN(len(s.names[at]))
		span.Name, span.Attrs = s.names[at][op], s.attrs[at][op]
		if known.Error && i >= spansPerTrace-2 {
			span.Status = telemetry.StatusError
			span.Attrs = append(span.Attrs[:len(span.Attrs)-1:len(span.Attrs)-1], telemetry.Attr{Key: "http.response.status_code", Value: telemetry.Int(500)})
		}
		parent, start, took = span.SpanID, start.Add(took/20), took*9/10
		known.Truth.Add(tally.Span(services[at], &span).Content)
		s.Calls[Call{services[at], span.Name, span.Kind.String(), span.Status.String()}]++
		s.batches[at].Spans = append(s.batches[at].Spans, span)
	}
	s.Traces[id] = known
}

// Made returns how many spans have been made.
func (s *Spans) Made() int { return len(s.Traces) * spansPerTrace }
