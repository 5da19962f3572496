package traces

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/braidhq/braid/telemetry"
)

var graphNames = []string{"client", "server", "connection_type"}

// graphFamilies are the metrics of a graph, with their descriptions.
type graphFamilies struct {
	total, failed, unpaired             family
	server, client                      family
	totalDesc, failedDesc, unpairedDesc *prometheus.Desc
	serverDesc, clientDesc              *prometheus.Desc
}

func newGraphFamilies(cluster string) graphFamilies {
	const prefix = "traces_service_graph_"
	f := graphFamilies{
		total:    family{prefix + "request_total", "Calls between services.", model.MetricTypeCounter, graphNames, cluster},
		failed:   family{prefix + "request_failed_total", "Calls of which a span has the status error.", model.MetricTypeCounter, graphNames, cluster},
		unpaired: family{prefix + "unpaired_spans_total", "Spans whose other side was not seen in time.", model.MetricTypeCounter, graphNames, cluster},
		server:   family{prefix + "request_server_seconds", "Duration of calls as the server saw them.", model.MetricTypeHistogram, graphNames, cluster},
		client:   family{prefix + "request_client_seconds", "Duration of calls as the client saw them.", model.MetricTypeHistogram, graphNames, cluster},
	}
	f.totalDesc, f.failedDesc, f.unpairedDesc = f.total.desc(), f.failed.desc(), f.unpaired.desc()
	f.serverDesc, f.clientDesc = f.server.desc(), f.client.desc()
	return f
}

// Describe implements prometheus.Collector.
func (g *Graph) Describe(ch chan<- *prometheus.Desc) {
	f := &g.families
	for _, d := range []*prometheus.Desc{f.totalDesc, f.failedDesc, f.unpairedDesc, f.serverDesc, f.clientDesc} {
		ch <- d
	}
}

// rows copies all edges; g.mu is held.
func (g *Graph) rows() []edge {
	rows := make([]edge, 0, len(g.edges))
	for _, e := range g.edges {
		row := *e
		row.server, row.client = e.server.clone(), e.client.clone()
		rows = append(rows, row)
	}
	return rows
}

// Collect implements prometheus.Collector. It copies the counts first, so that a slow scrape does not hold up Observe.
func (g *Graph) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	rows := g.rows()
	g.mu.Unlock()
	f := &g.families
	for i := range rows {
		e := &rows[i]
		labels := values(e.key, len(graphNames))
		if e.unpaired > 0 {
			ch <- counter(f.unpairedDesc, e.unpaired, e.start, labels)
		}
		if e.requests > 0 {
			ch <- counter(f.totalDesc, e.requests, e.start, labels)
			ch <- counter(f.failedDesc, e.failed, e.start, labels)
		}
		if e.server.count > 0 {
			ch <- collected(f.serverDesc, &e.server, &g.shape, e.start, labels)
		}
		if e.client.count > 0 {
			ch <- collected(f.clientDesc, &e.client, &g.shape, e.start, labels)
		}
	}
}

// Self returns the collector of braid's own metrics about g, as [RED.Self] does.
func (g *Graph) Self() prometheus.Collector { return graphSelf{g} }

type graphSelf struct{ g *Graph }

// Describe implements prometheus.Collector.
func (s graphSelf) Describe(ch chan<- *prometheus.Desc) { s.g.self.Describe(ch) }

// Collect implements prometheus.Collector.
func (s graphSelf) Collect(ch chan<- prometheus.Metric) {
	s.g.mu.Lock()
	s.g.self.series.Set(float64(len(s.g.edges)))
	s.g.self.pending.Set(float64(s.g.pending.len()))
	s.g.mu.Unlock()
	s.g.self.Collect(ch)
}

// An edgeIdentity holds the interned series of one edge; those that it has never had are nil.
type edgeIdentity struct {
	total, failed, unpaired *telemetry.Series
	server, client          *histogramIdentity
}

// identify gives e the series that it has something to say of.
func (g *Graph) identify(e *edge) {
	if e.identity == nil {
		e.identity = &edgeIdentity{}
	}
	f, i := &g.families, e.identity
	if e.requests > 0 && i.total == nil {
		i.total, i.failed = f.total.series("", e.key, ""), f.failed.series("", e.key, "")
	}
	if e.unpaired > 0 && i.unpaired == nil {
		i.unpaired = f.unpaired.series("", e.key, "")
	}
	for _, h := range []struct {
		d    *durations
		into **histogramIdentity
		f    *family
	}{{&e.server, &i.server, &f.server}, {&e.client, &i.client, &f.client}} {
		if h.d.count > 0 && *h.into == nil {
			identity := newHistogramIdentity(h.f, e.key, &g.shape)
			*h.into = &identity
		}
	}
}

func (i *edgeIdentity) all(each func(*telemetry.Series)) {
	for _, s := range []*telemetry.Series{i.total, i.failed, i.unpaired} {
		if s != nil {
			each(s)
		}
	}
	for _, h := range []*histogramIdentity{i.server, i.client} {
		if h != nil {
			h.all(each)
		}
	}
}

// Samples returns the cumulative values of all series at the receive time now, in nanoseconds, with start timestamps
// and without exemplars. Series that have become idle since the last call have a stale marker.
//
// The series are the same from call to call. The caller owns the rest.
func (g *Graph) Samples(now int64) []telemetry.Sample {
	g.exporting.Lock()
	defer g.exporting.Unlock()
	g.mu.Lock()
	e := newExport(now, 0)
	for _, x := range g.gone {
		if again := g.edges[x.key]; again != nil {
			again.identity = x.identity
		} else {
			x.identity.all(e.stale)
		}
	}
	g.gone = nil
	for _, x := range g.edges {
		g.identify(x)
	}
	rows := g.rows()
	g.mu.Unlock()
	for i := range rows {
		g.export(e, &rows[i])
	}
	return e.samples
}

func (g *Graph) export(e *export, x *edge) {
	if x.unpaired > 0 {
		e.add(x.identity.unpaired, x.start, float64(x.unpaired))
	}
	if x.requests > 0 {
		e.add(x.identity.total, x.start, float64(x.requests))
		e.add(x.identity.failed, x.start, float64(x.failed))
	}
	if x.server.count > 0 {
		e.histogram(x.identity.server, &x.server, &g.shape, x.start, nil)
	}
	if x.client.count > 0 {
		e.histogram(x.identity.client, &x.client, &g.shape, x.start, nil)
	}
}
