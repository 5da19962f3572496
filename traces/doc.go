// Package traces reckons metrics from spans.
//
// Nouns: [RED] counts calls, errors and durations per service, span name, kind and status, under the names that
// Grafana queries: traces_spanmetrics_calls_total and traces_spanmetrics_latency (seconds). A series is one such
// combination; the number of series is bounded, and what comes beyond is counted in overflow series instead of being
// lost.
//
// In: every span, before any sampling, by [RED.Observe], which the queue's observer calls. Out: a prometheus.Collector
// and a snapshot, so that counters neither go down nor double over a crash.
//
// The room has no clock but the receive time of batches and does no I/O.
package traces
