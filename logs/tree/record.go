package tree

import (
	"github.com/braidhq/braid/logs/fields"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

// take makes a record of a line, as an agent would, and hands it on if it is wanted.
func (r *reader) take(line *format.Record, take take) error {
	if r.at.id.IsZero() {
		// The file had no whole line when it was opened; it has one now.
		if err := r.at.identify(); err != nil {
			return err
		}
		r.read[r.at.id] = true
	}
	at := line.UnixNano
	if at == 0 {
		at = r.lastTime
	}
	r.lastTime = at
	r.record.Log = telemetry.Log{
		UnixNano: at, Stream: line.Stream, Flags: line.Flags, Position: line.End.Offset,
		UID: telemetry.FileUID(r.at.id, line.End.Offset), Body: line.Body,
	}
	if r.at.id.IsZero() {
		r.record.UID = telemetry.UID{}
	}
	found := fields.Scan(line.Body)
	r.record.Severity, r.record.TraceID, r.record.SpanID = found.Severity, found.TraceID, found.SpanID
	if !r.query.wants(&r.record) {
		return nil
	}
	return take(&r.record)
}
