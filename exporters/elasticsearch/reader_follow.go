package elasticsearch

import (
	"context"
	"encoding/json"
	"time"
)

// recent is what a query that follows has seen of late: the latest receive time, and the ids of the lines received
// within the overlap before it. Lines become searchable nearly in the order received, but not quite: several
// aggregators and shards go at their own pace.
type recent struct {
	latest int64
	seen   map[string]int64 // receive time by document id
}

func (r *recent) add(id string, received int64) (isNew bool) {
	if r.seen == nil {
		r.seen = map[string]int64{}
	}
	if _, known := r.seen[id]; known {
		return false
	}
	r.seen[id] = received
	r.latest = max(r.latest, received)
	return true
}

// forget drops what lies further back than overlap.
func (r *recent) forget(overlap time.Duration) {
	for id, received := range r.seen {
		if received < r.latest-int64(overlap) {
			delete(r.seen, id)
		}
	}
}

func receivedTime(h *hit) (int64, error) {
	var source struct {
		Event struct {
			Ingested time.Time `json:"ingested"`
		} `json:"event"`
	}
	if err := json.Unmarshal(h.Source, &source); err != nil {
		return 0, err
	}
	return source.Event.Ingested.UnixNano(), nil
}

// remember notes what of s lies within the overlap, whether it is going to be given or not (tail): all of it is old
// when following begins.
func (r *logRun) remember(ctx context.Context, s *snapshot, query dict) error {
	answer, err := s.search(ctx, dict{"query": query, "size": 0, "aggs": dict{"latest": dict{"max": dict{"field": "event.ingested"}}}})
	if err != nil {
		return err
	}
	var aggs struct {
		Latest struct {
			Value float64 `json:"value"` // milliseconds; null, read as 0, if there is no line
		} `json:"latest"`
	}
	if err := json.Unmarshal(answer.Aggregations, &aggs); err != nil {
		return err
	}
	if aggs.Latest.Value == 0 {
		return nil
	}
	r.recent.latest = int64(aggs.Latest.Value) * int64(time.Millisecond)
	return s.scan(ctx, all(query, r.since()), byReceived(), pageSize, func(h *hit) (bool, error) {
		received, err := receivedTime(h)
		r.recent.add(h.ID, received)
		return true, err
	})
}

func (r *logRun) since() dict {
	return dict{"range": dict{"event.ingested": dict{"gte": formatTime(r.recent.latest - int64(r.reader.overlap))}}}
}

// follow gives lines as they appear, until ctx ends or the limit is reached.
func (r *logRun) follow(ctx context.Context) error {
	r.query.Tail = 0
	for !r.full() {
		if err := r.reader.pause(ctx, r.reader.every); err != nil {
			return err
		}
		if err := r.look(ctx); err != nil {
			return err
		}
		r.recent.forget(r.reader.overlap)
	}
	return nil
}

// look gives what has appeared since the last look.
func (r *logRun) look(ctx context.Context) error {
	s, err := r.reader.client.open(ctx, r.reader.logs)
	if err != nil || s == nil {
		return err
	}
	defer s.close(ctx)
	query, err := r.filter(ctx, s)
	if err != nil {
		return err
	}
	return s.scan(ctx, all(query, r.since()), byReceived(), pageSize, func(h *hit) (bool, error) {
		received, err := receivedTime(h)
		if err != nil {
			return false, err
		}
		if !r.recent.add(h.ID, received) {
			return true, nil
		}
		ok, err := r.read(h)
		if err != nil || !ok {
			return true, err
		}
		return r.give(&r.record)
	})
}
