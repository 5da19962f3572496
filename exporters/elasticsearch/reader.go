package elasticsearch

import (
	"bytes"
	"context"
	"time"

	"github.com/braidhq/braid/exporters/elasticsearch/ecs"
	"github.com/braidhq/braid/telemetry"
)

// A Reader answers log queries and traces from the data streams that an [Exporter] with the same options fills.
// It sees what Elasticsearch shows to searches: about a second after it was stored.
type Reader struct {
	client       *client
	logs, traces string
	every        time.Duration // between two looks of a query that follows
	overlap      time.Duration // how far back in receive time each look begins
	pause        func(ctx context.Context, d time.Duration) error
}

// NewReader returns a Reader. It does not speak to the cluster yet, and needs no StateDir.
func NewReader(o Options) (*Reader, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return &Reader{
		client: c, logs: o.LogsDataStream, traces: o.TracesDataStream,
		every: 500 * time.Millisecond, overlap: 10 * time.Second, pause: pause,
	}, nil
}

// Logs calls yield for every line that q asks for, by event time; lines of the same time and file in the order of the
// file. An error of yield ends it and is returned. A query that follows ends with ctx, and then Logs returns nil.
func (r *Reader) Logs(ctx context.Context, q telemetry.LogQuery, yield func(*telemetry.LogRecord) error) error {
	run := &logRun{reader: r, query: q, yield: yield}
	err := run.once(ctx)
	if err == nil && q.Follow && !run.full() {
		err = run.follow(ctx)
	}
	if q.Follow && ctx.Err() != nil {
		return nil
	}
	return err
}

// A logRun is one answer being given.
type logRun struct {
	reader *Reader
	query  telemetry.LogQuery
	yield  func(*telemetry.LogRecord) error
	count  int
	recent recent
	record telemetry.LogRecord
}

// full reports that the limit of lines is reached.
func (r *logRun) full() bool { return r.query.Limit > 0 && r.count >= r.query.Limit }

// once gives what is stored.
func (r *logRun) once(ctx context.Context) error {
	s, err := r.reader.client.open(ctx, r.reader.logs)
	if err != nil || s == nil {
		return err
	}
	defer s.close(ctx)
	query, err := r.filter(ctx, s)
	if err != nil {
		return err
	}
	if r.query.Follow {
		if err := r.remember(ctx, s, query); err != nil {
			return err
		}
	}
	if r.query.Tail > 0 {
		return r.tail(ctx, s, query)
	}
	return s.scan(ctx, query, byTime("asc"), pageSize, func(h *hit) (bool, error) {
		ok, err := r.read(h)
		if err != nil || !ok {
			return true, err
		}
		return r.give(&r.record)
	})
}

// read decodes h into r.record and reports whether it holds the text asked for: a mapping that every Elasticsearch has
// cannot look for a part of a word.
func (r *logRun) read(h *hit) (bool, error) {
	if err := ecs.DecodeLog(h.ID, h.Source, &r.record); err != nil {
		return false, err
	}
	return r.query.Text == "" || bytes.Contains(r.record.Body, []byte(r.query.Text)), nil
}

func (r *logRun) give(record *telemetry.LogRecord) (more bool, err error) {
	r.count++
	if err := r.yield(record); err != nil {
		return false, err
	}
	return !r.full(), nil
}

// filter is the query for what q asks for, save its text.
func (r *logRun) filter(ctx context.Context, s *snapshot) (dict, error) {
	q := &r.query
	var filters []dict
	if q.Tenant != "" {
		filters = append(filters, term("organization.id", q.Tenant))
	}
	if q.Namespace != "" {
		filters = append(filters, term(namespaceField, q.Namespace))
	}
	filters = append(filters, inNamespaces(q.Namespaces)...)
	if len(q.Pods) > 0 {
		filters = append(filters, terms("kubernetes.pod.name", q.Pods))
	}
	if q.Container != "" {
		filters = append(filters, term("kubernetes.container.name", q.Container))
	}
	if q.Previous {
		attempts, err := previousAttempts(ctx, s, all(filters...))
		if err != nil {
			return nil, err
		}
		filters = append(filters, attempts)
	}
	if q.MinSeverity > 0 {
		filters = append(filters, dict{"range": dict{"event.severity": dict{"gte": q.MinSeverity}}})
	}
	if !q.TraceID.IsZero() {
		filters = append(filters, term("trace.id", q.TraceID.String()))
	}
	times := dict{}
	if q.FromUnixNano != 0 {
		times["gte"] = formatTime(q.FromUnixNano)
	}
	if q.ToUnixNano != 0 {
		times["lt"] = formatTime(q.ToUnixNano)
	}
	if len(times) > 0 {
		filters = append(filters, dict{"range": dict{"@timestamp": times}})
	}
	return all(filters...), nil
}

// formatTime is for queries; Elasticsearch refuses times before 1970 there.
func formatTime(unixNano int64) string {
	return time.Unix(0, max(0, unixNano)).UTC().Format(time.RFC3339Nano)
}
