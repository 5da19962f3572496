// Package store keeps what one machine has received and lets it be read: the embedded default in place of Elasticsearch
// and Prometheus.
//
// Nouns: a [Store] is one directory with two engines, Prometheus' TSDB for samples and Pebble for lines and spans.
// A stream is the identity of records (tenant and Resource) under a 64-bit id; the stream table holds them all.
// A log key orders lines within their stream by event time and uid; a sequence orders them by arrival: the generation
// of the queue, the frame's position and the record's index. docs/format/store.md describes every key and value.
//
// In: [Store.Write], the telemetry.Sink. nil means that lines and spans are synced to disk and samples are in the TSDB's
// write-ahead log (which outlives the process; the system writes it to disk within seconds). Writing a record again is
// harmless: it lands on the same keys.
// Out: [Store.Logs] (merged by event time; following takes over in order of arrival without a gap or a repeat),
// [Store.Trace], [Store.FindTraces] with [Store.Services] and [Store.Operations], [Store.Queryable] and [Store.ExemplarQueryable].
// Retention counts from the receive time, so that lines read late from old files stay as long as fresh ones; samples
// age by their own time stamps, as the TSDB does it.
//
// A disk with too little room makes Write fail with [ErrFull], to be tried again; a write-ahead log that cannot be written
// for another reason ends the process, because Pebble cannot go on, and what was not acknowledged is still in the queue.
//
// The room never samples, drops or rewrites: a sample that the TSDB refuses is counted with its reason.
package store
