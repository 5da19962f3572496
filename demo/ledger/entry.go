package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// The kinds of Entry.
const (
	Log     = "log"     // one log line, on either stream
	Span    = "span"    // one ended span
	Sent    = "sent"    // one export of spans that the agent has acknowledged
	Metrics = "metrics" // one /metrics body served to a scraper
	End     = "end"     // the last entry: the totals of all before it
)

// An Entry is one line of a ledger.
type Entry struct {
	Kind string    `json:"kind"`
	Time time.Time `json:"time,omitzero"` // when the line was written, the span ended, the export acknowledged, the body served

	Seq    uint64 `json:"seq,omitempty"`    // Log: grows by one a line, over both streams of the service
	Stream string `json:"stream,omitempty"` // Log: stdout or stderr
	Sum    Sum    `json:"sum,omitempty"`    // Log
	Bytes  int    `json:"bytes,omitempty"`  // Log: length of the line without its newline
	Error  bool   `json:"error,omitempty"`  // Log: its level is error or above; Span: its status is error

	TraceID string    `json:"trace_id,omitempty"` // Log: if the line carries one; Span
	SpanID  string    `json:"span_id,omitempty"`  // Span
	Name    string    `json:"name,omitempty"`     // Span
	Start   time.Time `json:"start,omitzero"`     // Span

	Spans []string `json:"spans,omitempty"` // Sent: their ids

	Samples int            `json:"samples,omitempty"` // Metrics: how many the body holds
	Names   map[string]int `json:"names,omitempty"`   // Metrics: how many of each name; left out while it is as in the entry before
	Traces  []string       `json:"traces,omitempty"`  // Metrics: the trace ids of exemplars that the body before did not have

	Totals *Totals `json:"totals,omitempty"` // End
}

// Totals are what a whole ledger adds up to.
type Totals struct {
	Logs    uint64 `json:"logs"`
	Spans   uint64 `json:"spans"`
	Samples uint64 `json:"samples"`
}

// A Sum is the first half of a line's SHA-256 in hex: its identity by content.
type Sum string

// SumOf returns the sum of a line without its newline.
func SumOf(line []byte) Sum {
	h := sha256.Sum256(line)
	return Sum(hex.EncodeToString(h[:16]))
}
