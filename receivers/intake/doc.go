// Package intake is the part that all push receivers share: how the body of one request gets in, within bounds.
//
// Nouns: a [Gate] keeps the bounds of one receiver; a [Body] is one request's body while it is held; a [Refusal] is an
// error that knows its HTTP status.
//
// In comes an HTTP request, out go its bytes, as they came, and a look at them decompressed. The memory of bodies held
// at once is bounded by a budget of bytes (over it senders hear "not now", at once), that of decompressed ones by the
// number of CPUs: decompressing and validating is work for a CPU, so a turn for one is also a turn for its memory.
// The package keeps nothing after the answer, and knows no protocol.
package intake
