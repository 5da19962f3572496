// Package reckon compares what the shop wrote with what can be read back.
//
// Nouns: a [Tally] counts lines by content, spans by id and samples by name; one is made of the ledgers ([ReadLedgers]),
// one of what the query API answers ([API.Read]). A [Reckoning] is their difference: a [Report] of totals, and every
// broken promise in words. A [Follower] is a client of the live tail, which measures when lines become visible.
//
// In: ledger files and the aggregator's HTTP API. Out: a Reckoning. It knows nothing of braid's inside, so that anyone
// can recount with curl and jq.
//
// Lines, samples and the spans that span metrics have counted must be all there, each once. Of traces the aggregator keeps
// only some ([Terms]), so of stored spans this must hold:
//
//   - A trace of which anything is stored is stored whole.
//   - A trace with a reason is stored: a span with an error or a slow one, a line of level error with its id, an exemplar
//     in a /metrics body that was scraped. Reasons count that reach the aggregator within Wait of the trace's first span.
//   - Of the traces without a reason so many are stored as chance allows at the configured share; a true share is called
//     improbable once in 10⁹ runs.
//   - Every stored exemplar names a trace, and if it names a span that too, that is stored.
//
// When something reached the aggregator is not seen from outside, so a promise with a time in it is held to where it must
// have been in time: the reason came as late, and the trace's first span as early, as could be. A span comes no earlier
// than it ended, and at most one second ([hop]) after the agent acknowledged it, a line or a body after it was written.
// What leaves the shop shortly before or in an [Outage], or before all senders have tried again, may come as late as that.
// (Late is much longer than an outage of the demo, so that traces are whole in spite of one.) A trace that is not kept and
// whose reason cannot be shown to have been in time is no broken promise, but the aggregator must have counted it: at least
// one late span for each that had an error or a slow span, one late error line for each that had one. (Exemplars that come
// late are nothing unusual: a scrape happens every few seconds.)
package reckon
