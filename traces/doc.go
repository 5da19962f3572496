// Package traces reckons metrics from spans.
//
// Nouns: [RED] counts calls, errors and durations per service, span name, kind and status, and per dimension (an
// attribute that becomes a label), under the names that Grafana queries: traces_spanmetrics_calls_total,
// traces_spanmetrics_latency (seconds) and traces_target_info. [Graph] counts calls between services, under
// traces_service_graph_*: a caller (client or producer span) and a callee (server or consumer span whose parent it is)
// make a call, however they arrive. A series is one combination of labels, an edge one of the graph. The number of both
// is bounded, and what comes beyond is counted in overflow series instead of being lost.
//
// In a graph each client, server, producer and consumer span counts in one place. A client makes a call with the first
// server it is the parent of, a producer with every consumer, if they were received less than the wait apart; a span
// that says which database it asks makes a call by itself (connection type database). A caller that waits in vain has
// called a virtual node if it names its peer, and a server without a parent was called by the virtual node "user". All
// others are unpaired.
//
// In: every span, before any sampling, by Observe, which the queue's observer calls. Out: a prometheus.Collector,
// samples for export with the start of each series, and a snapshot, so that counters neither go down nor double over a
// crash; the spans that wait in a graph are in it. A series without spans for an hour of receive time goes; if it comes
// back it counts from zero, with a new start.
//
// Exemplars: a series remembers spans as candidates, and samples carry those of them whose trace is kept, as whoever
// asks for the samples says. A span whose verdict has not come waits for a later export, or gives way.
//
// Malformed spans are counted among the calls as far as they can be, and by what is wrong with them: no duration, no
// ids (these make neither exemplars nor calls), text that is too long (cut) or not UTF-8 (replaced).
//
// The room has no clock but the receive time of batches and does no I/O.
package traces
