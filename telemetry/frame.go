package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Signal says what a frame or lane carries. The values are part of the queue's on-disk format.
type Signal uint8

// The signals, one queue lane each.
const (
	Logs    Signal = 1
	Spans   Signal = 2
	Samples Signal = 3
)

// Signals lists every signal in lane order.
var Signals = [...]Signal{Logs, Spans, Samples}

// String returns the signal's name as it stands in metrics, directories and the configuration.
func (s Signal) String() string {
	switch s {
	case Logs:
		return "logs"
	case Spans:
		return "spans"
	case Samples:
		return "samples"
	}
	return fmt.Sprintf("signal(%d)", uint8(s))
}

// Encoding names the protocol of a frame's body once it is decompressed. Part of the queue's on-disk format.
type Encoding uint8

// The encodings: an OTLP Export*ServiceRequest, or a Prometheus remote-write 1.0 or 2.0 request.
const (
	OTLP         Encoding = 1
	RemoteWrite1 Encoding = 2
	RemoteWrite2 Encoding = 3
)

// Compression names what a frame's body is compressed with. Part of the queue's on-disk format.
type Compression uint8

// The compressions, with the names HTTP gives them in Content-Encoding (see [Compression.String]).
const (
	Identity Compression = 0
	Gzip     Compression = 1
	Zstd     Compression = 2
	Snappy   Compression = 3 // the block format, as remote-write uses it
)

// String returns the Content-Encoding token.
func (c Compression) String() string {
	switch c {
	case Identity:
		return "identity"
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	case Snappy:
		return "snappy"
	}
	return fmt.Sprintf("compression(%d)", uint8(c))
}

// QueueID identifies one queue directory for its life; it is drawn at random when the directory is made.
type QueueID [8]byte

// A Frame is one payload as it was received. The queue stores frames; pass-through exporters send them on unchanged.
type Frame struct {
	Signal      Signal
	Encoding    Encoding
	Compression Compression
	Tenant      string   // X-Scope-OrgID, empty by default
	Key         uint64   // partition key, unused on one machine
	ID          [16]byte // see Hash

	// Origin and Sequence are set on frames that came out of another braid's queue: that queue's id and the frame's
	// position in its lane. Positions of one origin and signal only grow, so a receiver knows a repeat.
	Origin   QueueID
	Sequence uint64

	// ReceivedUnixNano is stamped by the queue at append: one clock for all lanes, never decreasing, over restarts too.
	ReceivedUnixNano int64
	// Position is where the frame lies in its lane: set by the queue on reading, ignored on append.
	Position uint64

	Body []byte

	// Decoded is the frame's decoded view if its receiver has one to give away; nil: none.
	Decoded *Decoded
}

// Hash sets f.ID: the first 128 bits of SHA-256 over signal, encoding, compression, tenant and body.
// Byte-identical retries of one sender have the same ID.
func (f *Frame) Hash() {
	h := sha256.New()
	var head [7]byte
	head[0], head[1], head[2] = byte(f.Signal), byte(f.Encoding), byte(f.Compression)
	binary.LittleEndian.PutUint32(head[3:], uint32(len(f.Tenant)))
	h.Write(head[:])
	h.Write([]byte(f.Tenant))
	h.Write(f.Body)
	var sum [sha256.Size]byte
	copy(f.ID[:], h.Sum(sum[:0]))
}

// An Appender takes frames. nil means every one of them is safe: synced to disk here, or taken by the next hop.
// Implementations must not retain frames or their bodies after they return; a frame's Decoded they may hold.
//
// Errors are those of [Sink]. A partial failure fails the whole call; the caller sends all of them again.
type Appender interface {
	Append(ctx context.Context, frames []Frame) error
}
