// Package query is the read side over HTTP: it answers questions about stored lines, traces and samples.
//
// Nouns: a [LogLine] is one stored line as JSON, one per row of an NDJSON answer. A [TraceView] is a trace as JSON: its
// [SpanView]s, each with the lines that were written inside it, and the lines that belong to no stored span.
// Both are the contract between server and CLI; times are RFC 3339 with nanoseconds in UTC, ids lower-case hex.
//
// In: HTTP requests. Out: JSON. What is asked is whatever implements [Logs] and [Traces], and a Prometheus queryable
// for PromQL; the room holds no data of its own and never writes to a store.
package query
