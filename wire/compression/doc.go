// Package compression is the one place where payloads are compressed and decompressed: gzip, zstd and snappy blocks.
//
// Noun: the limit of [Decompress] is the largest content a body may unfold to; it is checked against the size that the
// body claims before anything is allocated, and again while it unfolds, since a claim may be missing or a lie.
//
// All functions are safe for concurrent use. Encoders and decoders are kept in pools (the package's only state, and
// invisible from outside); none of them starts a goroutine. The package does no I/O.
package compression
