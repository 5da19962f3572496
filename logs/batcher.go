package logs

import (
	"time"

	"github.com/braidhq/braid/logs/fields"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/telemetry"
)

// A batcher makes batches of records, one for each file. Batches and their slices are used again by the next Write.
type batcher struct {
	now     func() time.Time
	batches []*telemetry.Batch
	spare   []*telemetry.Batch
	byFile  map[telemetry.FileID]*telemetry.Batch
	last    *telemetry.Batch
	records int
	at      int64 // observed time of what is being read
}

func (b *batcher) reset() {
	b.spare = append(b.spare, b.batches...)
	clear(b.batches)
	b.batches = b.batches[:0]
	clear(b.byFile)
	b.last, b.records, b.at = nil, 0, b.now().UnixNano()
}

// batchRecordsKept bounds the records for which an idle batch keeps room.
const batchRecordsKept = 4096

func (b *batcher) batch(a *tail.Attempt, id telemetry.FileID) *telemetry.Batch {
	if b.last != nil && b.last.FileID == id {
		return b.last
	}
	if got := b.byFile[id]; got != nil {
		b.last = got
		return got
	}
	got := &telemetry.Batch{}
	if n := len(b.spare); n > 0 {
		got = b.spare[n-1]
		b.spare = b.spare[:n-1]
	}
	logs := got.Logs[:0]
	if cap(logs) > batchRecordsKept {
		logs = nil
	}
	*got = telemetry.Batch{Resource: a.Resource, FileID: id, Logs: logs, From: -1}
	b.batches = append(b.batches, got)
	if b.byFile == nil {
		b.byFile = map[telemetry.FileID]*telemetry.Batch{}
	}
	b.byFile[id], b.last = got, got
	return got
}

// add is the follower's Emit.
func (b *batcher) add(a *tail.Attempt, id telemetry.FileID, r *format.Record) {
	batch := b.batch(a, id)
	from := r.Start.Offset
	if r.Start.File != r.End.File {
		from = 0 // the line began in the file before
	}
	if batch.From < 0 || from < batch.From {
		batch.From = from
	}
	batch.To = max(batch.To, r.End.Offset)
	found := fields.Scan(r.Body)
	batch.Logs = append(batch.Logs, telemetry.Log{
		UnixNano: r.UnixNano, ObservedUnixNano: b.at,
		Severity: found.Severity, TraceID: found.TraceID, SpanID: found.SpanID,
		Stream: r.Stream, Flags: r.Flags, Position: r.End.Offset,
		UID: telemetry.FileUID(id, r.End.Offset), Body: r.Body,
	})
	b.records++
}
