package elasticsearch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// maxContainers is how many containers an answer may tell apart (tail, previous). Beyond it the query is refused: an
// answer that silently leaves some out would be wrong.
const maxContainers = 1000

// A bucket is a value of a terms aggregation with those below it.
type bucket struct {
	Key any `json:"key"`
	Sub struct {
		Buckets []bucket `json:"buckets"`
		Others  int      `json:"sum_other_doc_count"`
	} `json:"sub"`
}

// groups returns the combinations of values of fields in what query matches. A document without a field is in the
// group with the value "".
func groups(ctx context.Context, s *snapshot, query dict, fields ...string) ([][]any, error) {
	aggs := dict{}
	at := aggs
	for _, field := range fields {
		sub := dict{"terms": dict{"field": field, "size": maxContainers, "missing": missingValue(field)}}
		at["aggs"] = dict{"sub": sub}
		at = sub
	}
	answer, err := s.search(ctx, dict{"query": query, "size": 0, "aggs": aggs["aggs"]})
	if err != nil {
		return nil, err
	}
	var top bucket
	if err := json.Unmarshal(answer.Aggregations, &top); err != nil {
		return nil, fmt.Errorf("cannot read an aggregation: %w", err)
	}
	var found [][]any
	var walk func(b *bucket, path []any) error
	walk = func(b *bucket, path []any) error {
		if b.Sub.Others > 0 || len(found) > maxContainers {
			return fmt.Errorf("more than %d containers match: ask for fewer", maxContainers)
		}
		if len(path) == len(fields) {
			found = append(found, path)
		}
		for i := range b.Sub.Buckets {
			next := &b.Sub.Buckets[i]
			if err := walk(next, append(slices.Clip(path), next.Key)); err != nil {
				return err
			}
		}
		return nil
	}
	return found, walk(&top, nil)
}

func missingValue(field string) any {
	if field == restartField {
		return -1
	}
	return ""
}

const (
	namespaceField = "kubernetes.namespace"
	podField       = "kubernetes.pod.uid"
	containerField = "kubernetes.container.name"
	restartField   = "kubernetes.container.restart_count"
	serviceField   = "service.name"
)

// inGroup matches the documents of one of groups' combinations.
func inGroup(fields []string, values []any) dict {
	filters := make([]dict, len(fields))
	for i, field := range fields {
		filters[i] = term(field, values[i])
		if values[i] == missingValue(field) {
			filters[i] = not(exists(field))
		}
	}
	return all(filters...)
}

// previousAttempts matches the attempt before the newest of every container that query matches.
func previousAttempts(ctx context.Context, s *snapshot, query dict) (dict, error) {
	fields := []string{podField, containerField, restartField}
	found, err := groups(ctx, s, all(query, exists(podField), exists(restartField)), fields...)
	if err != nil {
		return nil, err
	}
	attempts := map[[2]any][]float64{}
	for _, values := range found {
		n, ok := values[2].(float64)
		if !ok {
			return nil, fmt.Errorf("cannot read an aggregation: restart count %v", values[2])
		}
		key := [2]any{values[0], values[1]}
		attempts[key] = append(attempts[key], n)
	}
	var filters []dict
	for key, restarts := range attempts {
		if len(restarts) < 2 {
			continue
		}
		slices.Sort(restarts)
		filters = append(filters, all(term(podField, key[0]), term(containerField, key[1]), term(restartField, restarts[len(restarts)-2])))
	}
	if len(filters) == 0 {
		return dict{"match_none": dict{}}, nil
	}
	return anyOf(filters), nil
}

// tail gives the last lines of each container, all of them by time. They are gathered first: which they are is only
// known from their end.
func (r *logRun) tail(ctx context.Context, s *snapshot, query dict) error {
	fields := []string{podField, containerField, serviceField}
	containers, err := groups(ctx, s, query, fields...)
	if err != nil {
		return err
	}
	size := pageSize
	if r.query.Text == "" {
		size = min(size, r.query.Tail)
	}
	var records []telemetry.LogRecord
	for _, values := range containers {
		n, first := 0, len(records)
		err := s.scan(ctx, all(query, inGroup(fields, values)), byTime("desc"), size, func(h *hit) (bool, error) {
			ok, err := r.read(h)
			if err != nil || !ok {
				return true, err
			}
			records = append(records, r.record)
			r.record = telemetry.LogRecord{}
			n++
			return n < r.query.Tail, nil
		})
		if err != nil {
			return err
		}
		slices.Reverse(records[first:])
	}
	slices.SortStableFunc(records, func(a, b telemetry.LogRecord) int {
		return cmp.Or(cmp.Compare(a.UnixNano, b.UnixNano), cmp.Compare(a.Position, b.Position))
	})
	for i := range records {
		if more, err := r.give(&records[i]); err != nil || !more {
			return err
		}
	}
	return nil
}
