// Package telemetry holds braid's nouns and its two verbs; every room speaks in them and in nothing else.
//
// Nouns: a [Frame] is one payload as it was received (the queue stores frames). A [Batch] is the decoded view of
// part of a frame: records of one [Resource]. Its records are [Log], [Span] and [Sample] (of a [Series]).
// A [Decoded] is a frame's batches on their way from who checked it to who observes it.
// A [LogQuery] asks for stored lines, and a [Trace] is what is known of one trace.
//
// Verbs: a [Sink] takes batches, an [Appender] takes frames, a [Source] pushes batches into a sink.
// The call is the pipe and its error is the acknowledgement: nil means durable here or delivered.
//
// The package does no I/O, keeps no state, and imports the standard library and Prometheus' model packages only.
package telemetry
