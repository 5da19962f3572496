package query

import (
	"context"

	"github.com/braidhq/braid/telemetry"
)

// Logs answers with stored lines, ordered by event time within what is stored, then, when q.Follow is set, in the order
// in which further lines are stored. A record is lent during yield; an error of yield ends the answer and is returned.
type Logs interface {
	// Namespaces are those of which anything is stored, by name.
	Namespaces(ctx context.Context, tenant string) ([]string, error)
	Logs(ctx context.Context, q telemetry.LogQuery, yield func(*telemetry.LogRecord) error) error
}

// Traces answers with one stored trace: nil without an error when nothing is known of it.
type Traces interface {
	Trace(ctx context.Context, tenant string, id telemetry.TraceID) (*telemetry.Trace, error)
}

// TraceSearch knows what traces are stored. Names are sorted, and of spans in one of namespaces (nil: anywhere); traces that
// match come with the newest matching span first, at most q.Limit of them.
type TraceSearch interface {
	Namespaces(ctx context.Context, tenant string) ([]string, error)
	Services(ctx context.Context, tenant string, namespaces []string) ([]string, error)
	Operations(ctx context.Context, tenant, service string, namespaces []string) ([]telemetry.Operation, error)
	FindTraces(ctx context.Context, q telemetry.TraceQuery) ([]telemetry.TraceID, error)
}
