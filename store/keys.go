package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/braidhq/braid/telemetry"
)

// The first byte of every Pebble key. See docs/format/store.md.
const (
	metaPrefix      = 'M'
	streamPrefix    = 'R'
	logPrefix       = 'L'
	sequencePrefix  = 'S'
	tracePrefix     = 'T'
	spanPrefix      = 'P'
	expiryPrefix    = 'X'
	indexPrefix     = 'I'
	operationPrefix = 'N'
)

const (
	uidBytes      = 20
	logKeyBytes   = 1 + 8 + 8 + uidBytes
	seqKeyBytes   = 1 + 4 + 8 + 4
	traceKeyBytes = 1 + 16 + 8 + uidBytes + 8
	spanKeyBytes  = 1 + 16 + 8 + 8 + 1 + 8
)

// A logKey is where a line lies: lines of one stream are ordered by event time, then uid.
type logKey struct {
	stream uint64
	at     int64
	uid    telemetry.UID
}

// appendTime appends t so that bytes order as times do: big-endian with the sign flipped.
func appendTime(b []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t)^(1<<63))
}

func readTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ (1 << 63)) }

func (k logKey) append(b []byte) []byte {
	b = append(b, logPrefix)
	b = binary.BigEndian.AppendUint64(b, k.stream)
	b = appendTime(b, k.at)
	return append(b, k.uid[:]...)
}

func parseLogKey(b []byte) (k logKey, err error) {
	if len(b) != logKeyBytes || b[0] != logPrefix {
		return k, fmt.Errorf("%w: log key % x", errCorrupt, b)
	}
	k.stream = binary.BigEndian.Uint64(b[1:])
	k.at = readTime(b[9:])
	copy(k.uid[:], b[17:])
	return k, nil
}

// before orders lines of all streams: by event time, uid, and stream to be total.
func (k logKey) before(o logKey) bool {
	if k.at != o.at {
		return k.at < o.at
	}
	if c := bytes.Compare(k.uid[:], o.uid[:]); c != 0 {
		return c < 0
	}
	return k.stream < o.stream
}

// A sequence is a line's place in the order of arrival. Within one queue the position and the index tell it; the
// generation grows when the store meets a queue that starts again from lower positions.
type sequence struct {
	generation uint32
	position   uint64
	index      uint32
}

func (s sequence) before(o sequence) bool {
	if s.generation != o.generation {
		return s.generation < o.generation
	}
	if s.position != o.position {
		return s.position < o.position
	}
	return s.index < o.index
}

func (s sequence) append(b []byte) []byte {
	b = append(b, sequencePrefix)
	b = binary.BigEndian.AppendUint32(b, s.generation)
	b = binary.BigEndian.AppendUint64(b, s.position)
	return binary.BigEndian.AppendUint32(b, s.index)
}

func parseSequence(b []byte) (s sequence, err error) {
	if len(b) != seqKeyBytes || b[0] != sequencePrefix {
		return s, fmt.Errorf("%w: sequence key % x", errCorrupt, b)
	}
	s.generation = binary.BigEndian.Uint32(b[1:])
	s.position = binary.BigEndian.Uint64(b[5:])
	s.index = binary.BigEndian.Uint32(b[13:])
	return s, nil
}

// An arrival is the value under a sequence: which line came, when, and of which trace.
type arrival struct {
	received int64
	key      logKey
	trace    telemetry.TraceID
}

const arrivalBytes = 8 + logKeyBytes - 1

func (a *arrival) append(b []byte) []byte {
	b = appendTime(b, a.received)
	b = binary.BigEndian.AppendUint64(b, a.key.stream)
	b = appendTime(b, a.key.at)
	b = append(b, a.key.uid[:]...)
	if !a.trace.IsZero() {
		b = append(b, a.trace[:]...)
	}
	return b
}

func parseArrival(b []byte) (a arrival, err error) {
	if len(b) != arrivalBytes && len(b) != arrivalBytes+16 {
		return a, fmt.Errorf("%w: arrival % x", errCorrupt, b)
	}
	a.received = readTime(b)
	a.key.stream = binary.BigEndian.Uint64(b[8:])
	a.key.at = readTime(b[16:])
	copy(a.key.uid[:], b[24:])
	copy(a.trace[:], b[arrivalBytes:])
	return a, nil
}

// appendTraceKey appends the key under which a line is found by its trace id.
func appendTraceKey(b []byte, id telemetry.TraceID, k logKey) []byte {
	b = append(b, tracePrefix)
	b = append(b, id[:]...)
	b = appendTime(b, k.at)
	b = append(b, k.uid[:]...)
	return binary.BigEndian.AppendUint64(b, k.stream)
}

func parseTraceKey(b []byte) (k logKey, err error) {
	if len(b) != traceKeyBytes || b[0] != tracePrefix {
		return k, fmt.Errorf("%w: trace key % x", errCorrupt, b)
	}
	k.at = readTime(b[17:])
	copy(k.uid[:], b[25:])
	k.stream = binary.BigEndian.Uint64(b[45:])
	return k, nil
}

// appendSpanKey appends the key of a span. Its uid is no part of it: a span that its sender delivers twice is one span,
// as trace, start, span id and kind say. The stream is, so that nobody overwrites another tenant's spans.
func appendSpanKey(b []byte, s *telemetry.Span, stream uint64) []byte {
	b = append(b, spanPrefix)
	b = append(b, s.TraceID[:]...)
	b = appendTime(b, s.StartUnixNano)
	b = append(b, s.SpanID[:]...)
	b = append(b, byte(s.Kind))
	return binary.BigEndian.AppendUint64(b, stream)
}

func parseSpanKey(b []byte, s *telemetry.Span) (stream uint64, err error) {
	if len(b) != spanKeyBytes || b[0] != spanPrefix {
		return 0, fmt.Errorf("%w: span key % x", errCorrupt, b)
	}
	copy(s.TraceID[:], b[1:])
	s.StartUnixNano = readTime(b[17:])
	copy(s.SpanID[:], b[25:])
	s.Kind = telemetry.SpanKind(b[33])
	return binary.BigEndian.Uint64(b[34:]), nil
}

// prefixEnd returns the first key after all that begin with prefix. prefix is never all 0xff: it begins with a letter.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	panic("BUG: a key prefix without end")
}
