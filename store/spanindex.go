package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
)

// The span index finds spans by stream and start. Its key is the span's own with the stream and the time in front, so
// that retention can tell it from the span's key; its value says enough to leave most spans unread.

const indexKeyBytes = spanKeyBytes

// indexBatch is how many spans are indexed in one batch when an older directory is opened.
const indexBatch = 10_000

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendIndexKey appends the key under which the span at spanKey is found by time.
func appendIndexKey(b, spanKey []byte) []byte {
	b = append(b, indexPrefix)
	b = append(b, spanKey[34:42]...)    // stream
	b = append(b, spanKey[17:25]...)    // start
	b = append(b, spanKey[1:17]...)     // trace id
	return append(b, spanKey[25:34]...) // span id, kind
}

// appendIndexedSpan appends the key of the span that the index key points to.
func appendIndexedSpan(b, indexKey []byte) []byte {
	b = append(b, spanPrefix)
	b = append(b, indexKey[17:33]...)
	b = append(b, indexKey[9:17]...)
	b = append(b, indexKey[33:42]...)
	return append(b, indexKey[1:9]...)
}

// A spanMark is the value of the span index.
type spanMark struct {
	status   telemetry.StatusCode
	name     uint32 // CRC-32C of the span's name
	duration int64
}

func nameMark(name string) uint32 { return crc32.Checksum([]byte(name), castagnoli) }

func appendMark(b []byte, s *telemetry.Span) []byte {
	start := len(b)
	b = append(b, s.Name...) // the sum wants bytes that may escape, and these are there already
	name := crc32.Checksum(b[start:], castagnoli)
	b = append(b[:start], byte(s.Status))
	b = binary.BigEndian.AppendUint32(b, name)
	return binary.AppendVarint(b, s.EndUnixNano-s.StartUnixNano)
}

func parseMark(b []byte) (m spanMark, err error) {
	d := decoder{b: b}
	m.status = telemetry.StatusCode(d.byte())
	if p := d.take(4); p != nil {
		m.name = binary.BigEndian.Uint32(p)
	}
	m.duration = d.varint()
	return m, d.end()
}

// indexSpans indexes what a braid without a span index has stored. It runs once in a directory's life: the key M i says
// that it is done. A crash before that starts again from the beginning and writes the same keys.
func (s *Store) indexSpans() (err error) {
	done := []byte{metaPrefix, 'i'}
	_, closer, err := s.db.Get(done)
	if err == nil {
		return closer.Close()
	}
	if !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spanPrefix}, UpperBound: []byte{spanPrefix + 1}})
	if err != nil {
		return err
	}
	w := write{Store: s, batch: s.db.NewBatch(), operations: map[*operation]int64{}}
	defer func() { err = errors.Join(err, w.batch.Close()) }()
	ok := it.First()
	for n := 1; ok; n++ {
		if err := w.indexStored(it.Key(), it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
		if n%indexBatch == 0 {
			if err := w.flush(); err != nil {
				return errors.Join(err, it.Close())
			}
		}
		ok = it.Next()
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if err := w.batch.Set(done, nil, nil); err != nil {
		return err
	}
	return w.batch.Commit(pebble.Sync)
}

// flush commits what has been added, without a sync, and goes on with an empty batch.
func (w *write) flush() error {
	if err := errors.Join(w.batch.Commit(pebble.NoSync), w.batch.Close()); err != nil {
		return err
	}
	w.batch = w.db.NewBatch()
	return nil
}

// indexStored indexes one stored span. It is in use as long as its stream is, which is never too short.
func (w *write) indexStored(key, value []byte) error {
	var s telemetry.Span
	var scope telemetry.Scope
	id, err := parseSpanKey(key, &s)
	if err != nil {
		return err
	}
	if err := decodeSpan(value, &s, &scope); err != nil {
		return fmt.Errorf("cannot index the span of trace %s: %w", s.TraceID, err)
	}
	st := w.streams.get(id)
	if st == nil {
		return nil // its retention has passed; the span goes with the next round
	}
	if err := w.addOperation(st, &s, st.usedUntil); err != nil {
		return err
	}
	return w.index(key, &s)
}

func (w *write) index(spanKey []byte, s *telemetry.Span) error {
	w.idx = appendIndexKey(w.idx[:0], spanKey)
	w.mark = appendMark(w.mark[:0], s)
	return w.batch.Set(w.idx, w.mark, nil)
}
