// Package tally says when what arrived is what was sent, records in any order.
//
// Nouns: a [Fingerprint] of one record is its id (two records of one input never share it) and a hash of its content; a
// [Truth] is what the maker of an input knows: how many records, and the sum of their hashes; a [Tally] is the same of
// what arrived, with every id, so that a lost record and a repeated one cannot make up for each other.
//
// A fingerprint takes what every system must deliver alike, and leaves out what each adds: a log line's pod, time,
// stream and body; a sample's labels (without job and those of OpenTelemetry's scope) and value; all of a span.
//
// Hashes are seeded by the process: a truth is compared within the process that made it. The package does no I/O.
package tally
