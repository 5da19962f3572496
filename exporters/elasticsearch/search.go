package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// pageSize is how many hits are asked for at a time.
const pageSize = 1000

// A snapshot is a point in time of one data stream: pages of one search agree with each other.
type snapshot struct {
	client *client
	id     string
}

type hit struct {
	ID     string          `json:"_id"`
	Source json.RawMessage `json:"_source"`
	Sort   json.RawMessage `json:"sort"`
}

// open makes a snapshot of what stream shows to searches now; nil if there is no such data stream.
func (c *client) open(ctx context.Context, stream string) (*snapshot, error) {
	var answer struct {
		ID string `json:"id"`
	}
	err := c.call(ctx, request{method: http.MethodPost, path: "/" + name(stream) + "/_pit?keep_alive=5m"}, &answer)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s for reading: %w", stream, err)
	}
	return &snapshot{c, answer.ID}, nil
}

// close gives the snapshot back; the cluster would forget it by itself a little later.
func (s *snapshot) close(ctx context.Context) {
	body, _ := json.Marshal(dict{"id": s.id})
	_ = s.client.call(context.WithoutCancel(ctx), request{method: http.MethodDelete, path: "/_pit", body: body}, nil)
}

type searchAnswer struct {
	TimedOut bool   `json:"timed_out"`
	PIT      string `json:"pit_id"`
	Shards   struct {
		Failed int `json:"failed"`
	} `json:"_shards"`
	Hits struct {
		Hits []hit `json:"hits"`
	} `json:"hits"`
	Aggregations json.RawMessage `json:"aggregations"`
}

// search sends one search. Half an answer is an error.
func (s *snapshot) search(ctx context.Context, body dict) (*searchAnswer, error) {
	body["pit"] = dict{"id": s.id, "keep_alive": "5m"}
	body["track_total_hits"] = false
	b, err := json.Marshal(body)
	if err != nil {
		panic("BUG: a search does not marshal: " + err.Error())
	}
	var answer searchAnswer
	err = s.client.call(ctx, request{method: http.MethodPost, path: "/_search?allow_partial_search_results=false", body: b}, &answer)
	if err != nil {
		return nil, fmt.Errorf("cannot search: %w", err)
	}
	if answer.TimedOut || answer.Shards.Failed > 0 {
		return nil, fmt.Errorf("cannot search: %d shards failed (timed out: %v)", answer.Shards.Failed, answer.TimedOut)
	}
	if answer.PIT != "" {
		s.id = answer.PIT
	}
	return &answer, nil
}

// scan yields every hit of query in the order of sort, until yield says that it has enough.
func (s *snapshot) scan(ctx context.Context, query dict, sort []dict, size int, yield func(*hit) (more bool, err error)) error {
	var after json.RawMessage
	for {
		body := dict{"query": query, "sort": sort, "size": size}
		if after != nil {
			body["search_after"] = after
		}
		answer, err := s.search(ctx, body)
		if err != nil {
			return err
		}
		hits := answer.Hits.Hits
		for i := range hits {
			if more, err := yield(&hits[i]); err != nil || !more {
				return err
			}
		}
		if len(hits) < size {
			return nil
		}
		after = hits[len(hits)-1].Sort
	}
}

// byTime orders lines by event time, then by their place in the file.
func byTime(order string) []dict {
	missing := "_first"
	if order == "desc" {
		missing = "_last"
	}
	return []dict{
		{"@timestamp": dict{"order": order, "format": "strict_date_optional_time_nanos", "numeric_type": "date_nanos"}},
		{"log.offset": dict{"order": order, "missing": missing, "unmapped_type": "long"}},
	}
}

// byReceived orders lines as they came in.
func byReceived() []dict {
	received := dict{"event.ingested": dict{"order": "asc", "format": "strict_date_optional_time_nanos", "numeric_type": "date_nanos"}}
	return append([]dict{received}, byTime("asc")...)
}

func term(field string, value any) dict { return dict{"term": dict{field: value}} }

func terms(field string, values []string) dict { return dict{"terms": dict{field: values}} }

func exists(field string) dict { return dict{"exists": dict{"field": field}} }

// all matches what every one of filters matches.
func all(filters ...dict) dict { return dict{"bool": dict{"filter": filters}} }

func not(filter dict) dict { return dict{"bool": dict{"must_not": []dict{filter}}} }

func anyOf(filters []dict) dict {
	return dict{"bool": dict{"should": filters, "minimum_should_match": 1}}
}
