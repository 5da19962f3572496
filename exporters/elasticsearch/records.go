package elasticsearch

import (
	"github.com/braidhq/braid/exporters/elasticsearch/ecs"
	"github.com/braidhq/braid/telemetry"
)

// records are what a lane takes out of a batch.
type records struct {
	count  func(b *telemetry.Batch) int
	id     func(dst []byte, b *telemetry.Batch, i int) []byte
	encode func(dst []byte, b *telemetry.Batch, i int, s *ecs.Setting, f ecs.Form) []byte
}

func logRecords() *records {
	return &records{
		count: func(b *telemetry.Batch) int { return len(b.Logs) },
		id: func(dst []byte, b *telemetry.Batch, i int) []byte {
			if b.Logs[i].UID.IsZero() {
				panic("BUG: a log record without UID")
			}
			return ecs.AppendHex(dst, b.Logs[i].UID[:])
		},
		encode: func(dst []byte, b *telemetry.Batch, i int, s *ecs.Setting, f ecs.Form) []byte {
			return ecs.AppendLog(dst, &b.Logs[i], s, f)
		},
	}
}

func spanRecords() *records {
	return &records{
		count: func(b *telemetry.Batch) int { return len(b.Spans) },
		id:    func(dst []byte, b *telemetry.Batch, i int) []byte { return ecs.AppendSpanID(dst, &b.Spans[i]) },
		encode: func(dst []byte, b *telemetry.Batch, i int, s *ecs.Setting, f ecs.Form) []byte {
			return ecs.AppendSpan(dst, &b.Spans[i], s, f)
		},
	}
}
