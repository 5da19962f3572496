package traces

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/telemetry"
)

// GraphOptions of [Graph].
type GraphOptions struct {
	Registerer prometheus.Registerer // nil: unregistered
	MaxSeries  int                   // pairs of client, server and type; 0: 10,000
	// Idle is for how long, in receive time, a series without calls stays. 0: one hour.
	Idle time.Duration
	// Wait is for how long, in receive time, a span waits for the other side of its call. 0: 10 seconds.
	Wait time.Duration
	// MaxPending bounds the spans that wait; beyond it the oldest waits no longer. 0: 65,536, of 64 bytes each and 16 in an index.
	MaxPending int
	// As in [Options].
	Cluster    string
	Histograms Histograms
	Buckets    []float64
}

const (
	defaultWait       = 10 * time.Second
	defaultMaxPending = 1 << 16

	unknownService = "unknown_service"
	user           = "user" // who calls a server span without a parent
)

// A link is how two services are connected.
type link uint8

const (
	direct link = iota
	messagingSystem
	database
	virtualNode
)

// connectionTypes are the values of connection_type.
var connectionTypes = [...]string{direct: "", messagingSystem: "messaging_system", database: "database", virtualNode: "virtual_node"}

// An edge counts the calls of one client to one server.
type edge struct {
	key      string // client, server, connection type
	requests uint64
	failed   uint64
	unpaired uint64 // spans; then client or server is empty, and the rest is zero
	server   durations
	client   durations
	start    int64 // receive time of the first call
	received int64 // of the last one
	identity *edgeIdentity
}

// Graph counts the calls between services. Its methods are safe for concurrent use.
type Graph struct {
	maxSeries  int
	idle, wait int64
	shape      shape
	families   graphFamilies

	mu      sync.Mutex
	edges   map[string]*edge
	pending pending
	now     int64 // the latest receive time
	swept   int64
	gone    []*edge
	names   names
	crowded int64          // the receive time at which all names were in use; 0: they were not
	recent  map[call]*edge // those of edges that were asked for by these names
	key     []byte         // scratch

	exporting sync.Mutex
	self      graphMetrics
}

// NewGraph returns a Graph without counts. It panics on what [CheckBuckets] refuses.
func NewGraph(o GraphOptions) *Graph {
	if o.MaxSeries <= 0 {
		o.MaxSeries = defaultMaxSeries
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.MaxPending <= 0 {
		o.MaxPending = defaultMaxPending
	}
	g := &Graph{
		maxSeries: o.MaxSeries, idle: int64(o.Idle), wait: int64(o.Wait), shape: newShape(o.Histograms, o.Buckets),
		families: newGraphFamilies(o.Cluster), edges: map[string]*edge{}, pending: newPending(o.MaxPending),
		names: newNames(), recent: map[call]*edge{}, self: newGraphMetrics(),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(g, g.Self())
	}
	return g
}

// Attributes are the span attributes that Observe looks at.
func (g *Graph) Attributes() []string { return peerAttributes }

// Observe takes in the spans of b; those of a replayed batch have been taken in already.
func (g *Graph) Observe(b *telemetry.Batch, replayed bool) {
	if replayed || len(b.Spans) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = max(g.now, b.ReceivedUnixNano)
	g.expire()
	if g.names.full() && (g.crowded == 0 || g.now-g.crowded >= g.wait) { // what was in use then waits no longer
		g.forgetNames()
	}
	label := unknownService
	if b.Resource != nil && b.Resource.Service != "" {
		label = b.Resource.Service
	}
	service := g.names.intern(label)
	for i := range b.Spans {
		g.observe(&b.Spans[i], service)
	}
	g.sweep()
}

func (g *Graph) observe(s *telemetry.Span, service name) {
	h := half{service: service, received: g.now, failed: s.Status == telemetry.StatusError}
	id := s.SpanID
	switch s.Kind {
	case telemetry.SpanKindProducer:
		h.messaging = true
	case telemetry.SpanKindClient:
	case telemetry.SpanKindConsumer:
		h.side, h.messaging, id = callees, true, s.ParentID
	case telemetry.SpanKindServer:
		h.side, id = callees, s.ParentID
	default:
		return
	}
	h.nanos, _ = spanNanos(s)
	if s.TraceID.IsZero() || s.SpanID.IsZero() {
		g.self.zeroID.Inc()
		return
	}
	if id.IsZero() {
		g.root(&h)
		return
	}
	h.id = newCallID(s.TraceID, id)
	if h.side == callees {
		g.callee(&h)
		return
	}
	p := newPeer(s.Attrs)
	h.peer = g.names.intern(p.name())
	if p.isDatabase() && !h.messaging {
		g.call(&h, &half{service: h.peer, nanos: h.nanos}, database)
		return
	}
	g.caller(&h)
}

// root counts a callee without a parent: a server is called by a user, whom a consumer has none of.
func (g *Graph) root(h *half) {
	if h.messaging {
		g.unpaired(h)
		return
	}
	g.virtual(g.names.intern(user), h.service, h)
}

// callee pairs h with its caller if that is here, and lets it wait else.
func (g *Graph) callee(h *half) {
	hash := g.pending.hash(&h.id)
	head := g.pending.head(&h.id, hash)
	if head < 0 || g.pending.place[head].side == callees {
		g.push(h, hash, head)
		return
	}
	c := &g.pending.place[head]
	g.pair(&c.half, h)
	c.paired = true
	if !c.messaging {
		g.pending.pop(head)
	}
}

// caller pairs h with the callees that wait for it: a client with the first one, a producer with all and those to come.
func (g *Graph) caller(h *half) {
	hash := g.pending.hash(&h.id)
	head := g.pending.head(&h.id, hash)
	if head >= 0 && g.pending.place[head].side == callers {
		g.self.reused.Inc() // a second caller of one id: a span sent twice, or an id used twice
		return
	}
	for head >= 0 {
		next := g.pending.place[head].next
		callee := g.pending.pop(head)
		g.pair(h, &callee)
		if h.paired = true; !h.messaging {
			return
		}
		head = next
	}
	g.push(h, hash, -1)
}

func (g *Graph) push(h *half, hash uint32, head int32) {
	if g.pending.full() {
		g.self.evicted.Inc()
		if oldest := g.pending.oldest; oldest == head { // the chain loses its head
			head = g.pending.place[oldest].next
		}
		g.giveUp()
	}
	g.pending.push(h, hash, head)
}

// expire gives up the halves that have waited for too long.
func (g *Graph) expire() {
	for at := g.pending.oldest; at >= 0 && g.now-g.pending.place[at].received >= g.wait; at = g.pending.oldest {
		g.giveUp()
	}
}

// giveUp lets the oldest half wait no longer: a caller that knows its peer has called a virtual node.
func (g *Graph) giveUp() {
	h := g.pending.pop(g.pending.oldest)
	switch {
	case h.paired:
	case h.side == callers && h.peer != 0:
		g.virtual(h.service, h.peer, &h)
	default:
		g.unpaired(&h)
	}
}

func (g *Graph) pair(client, server *half) {
	kind := direct
	if client.messaging || server.messaging {
		kind = messagingSystem
	}
	g.call(client, server, kind)
}

func (g *Graph) call(client, server *half, kind link) {
	e := g.edge(client.service, server.service, kind)
	e.count(client.failed || server.failed)
	e.server.observe(server.nanos, &g.shape)
	e.client.observe(client.nanos, &g.shape)
}

// virtual counts a call of which one side sends no spans; how long it took is known as the other side, h, saw it.
func (g *Graph) virtual(client, server name, h *half) {
	e := g.edge(client, server, virtualNode)
	e.count(h.failed)
	if h.side == callees {
		e.server.observe(h.nanos, &g.shape)
	} else {
		e.client.observe(h.nanos, &g.shape)
	}
}

func (e *edge) count(failed bool) {
	e.requests++
	if failed {
		e.failed++
	}
}

func (g *Graph) unpaired(h *half) {
	kind, client, server := direct, h.service, name(0)
	if h.messaging {
		kind = messagingSystem
	}
	if h.side == callees {
		client, server = 0, h.service
	}
	g.edge(client, server, kind).unpaired++
}

// A call is what an edge is asked for by.
type call struct {
	client, server name
	link           link
}

// edge returns the edge of a call, used now.
func (g *Graph) edge(client, server name, kind link) *edge {
	c := call{client, server, kind}
	e := g.recent[c]
	if e == nil {
		var own bool
		if e, own = g.search(g.names.labels[client], g.names.labels[server], connectionTypes[kind]); own {
			g.recent[c] = e
		}
	}
	e.received = g.now
	return e
}

// search returns the edge of three labels, new if there is room for it; own: it is not one that others share for want of room.
func (g *Graph) search(client, server, kind string) (e *edge, own bool) {
	g.key = appendValue(appendValue(appendValue(g.key[:0], client), server), kind)
	e, own = g.edges[string(g.key)]
	if !own && len(g.edges) >= g.maxSeries {
		g.self.overflow.Inc()
		g.key = appendValue(g.key[:0], overflowOf(client))
		g.key = appendValue(appendValue(g.key, overflowOf(server)), kind)
		e = g.edges[string(g.key)]
	} else {
		own = true
	}
	if e == nil {
		e = &edge{key: string(g.key), server: newDurations(&g.shape), client: newDurations(&g.shape), start: g.now}
		g.edges[e.key] = e
	}
	return e, own
}

// overflowOf keeps an empty label empty: it says which side of a call is missing.
func overflowOf(label string) string {
	if label == "" {
		return ""
	}
	return overflow
}

// sweep forgets the edges that have been idle for too long, looking once in a tenth of that time.
func (g *Graph) sweep() {
	if g.now-g.swept < g.idle/10 {
		return
	}
	g.swept = g.now
	clear(g.recent)
	for key, e := range g.edges {
		if g.now-e.received > g.idle {
			delete(g.edges, key)
			if e.identity != nil {
				g.gone = append(g.gone, e)
			}
		}
	}
}
