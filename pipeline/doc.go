// Package pipeline is the river bed: the durable queue between what receives and what delivers, and the one place where
// data crosses goroutines.
//
// Nouns: a [Queue] is a directory with one lane per signal. A lane is a row of segment files of frames; a frame's
// position is its byte offset in that row and never names another frame. A [Cursor] is a named place in a lane whose
// position survives restarts; a segment goes when every cursor has passed it. [Marks] remember what has been judged
// once, so that a repeat is dropped for every cursor alike. An [Observer] sees every record and cannot fail. The
// quarantine keeps frames that could be neither decoded nor delivered.
//
// Most frames are read soon: what their receiver has decoded goes to the observers' cursor in memory (fresh.go), and what a
// delivery has decoded to the cursor that follows it (hand.go). That saves reading, decompressing and decoding, and nothing
// else: whoever finds nothing there reads the segment.
//
// In: frames, by [Queue.Append] (nil means synced to disk); batches, by [Encode]. Out: frames as they came, by
// [Forward]; batches, by a [Delivery]. [Retry] stands before every sink and is the only place that sends again.
//
// The layouts on disk are in docs/format/queue.md. The package never drops what it has acknowledged without counting
// it, never looks into a body except in a Delivery, and knows neither protocols nor stores.
package pipeline
