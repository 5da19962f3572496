// Package sink is the backend that every system under comparison ships to: an HTTP server that takes OTLP logs and spans
// and remote-write 1.0 and 2.0, decodes all of it, and counts.
//
// Nouns: a [Server] decodes and answers; [Lines], [Samples], [Calls] and [Traces] each count one kind of record, and say
// whether what has come is what was sent.
//
// A request that cannot be decoded is refused and remembered ([Server.Err]): it fails the run. Nothing is kept of a record
// but what counting takes. It runs in the harness, whose CPU time is nobody's result.
package sink
