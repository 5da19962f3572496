// Package ecs turns records into documents of the Elastic Common Schema and back: one function per direction.
//
// A document is a line or a span as JSON. A [Setting] holds what the documents of one batch share and is appended, not
// encoded, for each. A document has one of two forms: [Full], and [Plain] for what Elasticsearch has refused. A
// [DeadLetter] carries a document that is refused in both.
//
// In come lent records, out go bytes appended to the caller's; the hot path allocates nothing. Bytes that are no UTF-8
// become U+FFFD in the message, and the line then carries its exact body beside it. The package does no I/O.
package ecs
