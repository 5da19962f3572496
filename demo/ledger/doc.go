// Package ledger is the truth that the demo is reckoned by: what the shop's services really wrote, ended and served.
//
// Nouns: a ledger is one file of JSON lines for one service, NAME.ndjson. An [Entry] is one line of it. A [Writer] is
// held by the service itself, so that nothing of braid stands between an event and its entry. A [Sum] names a log line
// by its content. [Read] gives the entries back.
//
// In: lines, spans and /metrics bodies at the moment they leave the service, and which spans the agent has acknowledged. Out: a file that anyone can recount.
// A ledger ends with an [End] entry that repeats its totals; one without it is of a service that died, and is refused.
package ledger
