// Package otlp sends logs and spans by OTLP/HTTP: from an agent to an aggregator, or to anybody else who takes OTLP.
//
// Noun: an [Exporter] is a telemetry.Sink for batches, which it encodes and compresses into one POST per signal and
// tenant, and a telemetry.Appender for frames, which it sends on as they came.
//
// The answer decides, in one place (see verdict.go): success, "not now", permanent, or anything else, which the caller
// tries again. Frames out of a queue carry the queue's id and their position, by which another braid knows a repeat.
// It sends no samples: those go by remote-write.
package otlp
