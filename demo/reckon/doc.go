// Package reckon compares what the shop wrote with what can be read back.
//
// Nouns: a [Tally] counts lines by content, spans by id and samples by name; one is made of the ledgers ([ReadLedgers]),
// one of what the query API answers ([API.Read]). A [Reckoning] is their difference: a [Report] of totals, and every
// broken promise in words. A [Follower] is a client of the live tail, which measures when lines become visible.
//
// In: ledger files and the aggregator's HTTP API. Out: a Reckoning. It knows nothing of braid's inside, so that anyone
// can recount with curl and jq.
package reckon
