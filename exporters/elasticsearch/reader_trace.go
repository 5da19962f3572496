package elasticsearch

import (
	"context"

	"github.com/braidhq/braid/exporters/elasticsearch/ecs"
	"github.com/braidhq/braid/telemetry"
)

// Trace returns the spans of a trace by start and its lines by event time; nil if nothing is stored of it.
func (r *Reader) Trace(ctx context.Context, tenant string, id telemetry.TraceID) (*telemetry.Trace, error) {
	t := &telemetry.Trace{ID: id}
	query := term("trace.id", id.String())
	if tenant != "" {
		query = all(query, term("organization.id", tenant))
	}
	err := r.each(ctx, r.traces, query, func(h *hit) error {
		t.Spans = append(t.Spans, telemetry.SpanRecord{})
		return ecs.DecodeSpan(h.Source, &t.Spans[len(t.Spans)-1])
	})
	if err != nil {
		return nil, err
	}
	err = r.each(ctx, r.logs, query, func(h *hit) error {
		t.Logs = append(t.Logs, telemetry.LogRecord{})
		return ecs.DecodeLog(h.ID, h.Source, &t.Logs[len(t.Logs)-1])
	})
	if err != nil {
		return nil, err
	}
	if len(t.Spans)+len(t.Logs) == 0 {
		return nil, nil
	}
	return t, nil
}

func (r *Reader) each(ctx context.Context, stream string, query dict, yield func(*hit) error) error {
	s, err := r.client.open(ctx, stream)
	if err != nil || s == nil {
		return err
	}
	defer s.close(ctx)
	return s.scan(ctx, query, byTime("asc"), pageSize, func(h *hit) (bool, error) { return true, yield(h) })
}
