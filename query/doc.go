// Package query is the read side over HTTP: it answers questions about stored lines, traces and samples.
//
// Nouns: a [LogLine] is one stored line as JSON, one per row of an NDJSON answer. A [TraceView] is a trace as JSON: its
// [SpanView]s, each with the lines that were written inside it and the [Segment]s in which the trace waited for it, and the
// lines that belong to no stored span; then what was around: a [NearbyLine] carries no trace id and was written by a pod of
// the trace while that went on, a [ProcessView] is what the metrics say of a participant.
// All are the contract between server and CLI; times are RFC 3339 with nanoseconds in UTC, ids lower-case hex.
//
// In: HTTP requests. Out: JSON, in Prometheus' and Jaeger's forms where Grafana asks. What is asked is whatever implements
// [Logs], [Traces] and [TraceSearch], and a Prometheus queryable for PromQL; the room holds no data of its own and never writes to a store.
package query
