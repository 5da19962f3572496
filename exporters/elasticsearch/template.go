package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

type dict = map[string]any

const (
	mappingsTemplate = "braid-mappings"
	// customTemplate is the operator's: settings and mappings in it go before ours. We never write it.
	customTemplate = "braid@custom"
	// templatePriority goes before Elastic's own templates for logs-*-* (100) and those it advises to write (200).
	templatePriority = 500
)

// mappings say how documents are indexed. Nothing is mapped by itself: what senders fill as they like goes into
// flattened fields, so that no sender can break another's documents or blow up the mapping.
func mappings() dict {
	keyword := dict{"type": "keyword", "ignore_above": 8191}
	date := dict{"type": "date_nanos"}
	long := dict{"type": "long"}
	flattened := dict{"type": "flattened", "ignore_above": 1024}
	text := dict{"type": "text", "norms": false}
	unindexed := dict{"type": "keyword", "index": false, "doc_values": false}
	fields := func(properties dict) dict { return dict{"properties": properties} }
	id := fields(dict{"id": keyword})
	named := fields(dict{"name": keyword})
	return dict{"dynamic": false, "properties": dict{
		"@timestamp":   date,
		"message":      text,
		"event":        fields(dict{"created": date, "ingested": date, "severity": long, "duration": long, "outcome": keyword, "original": unindexed}),
		"log":          fields(dict{"level": keyword, "iostream": keyword, "offset": long}),
		"trace":        id,
		"parent":       id,
		"span":         fields(dict{"id": keyword, "name": keyword, "kind": keyword, "status": fields(dict{"code": keyword, "message": keyword})}),
		"service":      fields(dict{"name": keyword, "namespace": keyword, "version": keyword, "node": named}),
		"kubernetes":   fields(dict{"namespace": keyword, "node": named, "pod": fields(dict{"name": keyword, "uid": keyword}), "container": fields(dict{"name": keyword, "restart_count": long})}),
		"container":    id,
		"orchestrator": fields(dict{"cluster": named}),
		"organization": id,
		"labels":       flattened,
		"attributes":   flattened,
		"scope":        fields(dict{"name": keyword, "version": keyword, "attributes": flattened}),
		"error":        fields(dict{"type": keyword, "message": text}),
		"braid":        fields(dict{"flags": keyword, "data_stream": keyword}),
	}}
}

// indexTemplate is for one data stream by its exact name. With a lifecycle Elasticsearch rolls it over by itself.
func indexTemplate(stream string, retention time.Duration) dict {
	lifecycle := dict{"enabled": true}
	if retention > 0 {
		lifecycle["data_retention"] = fmt.Sprintf("%ds", max(1, int64(retention/time.Second)))
	}
	return dict{
		"index_patterns": []string{stream},
		"priority":       templatePriority,
		"data_stream":    dict{},
		"composed_of":    []string{mappingsTemplate, customTemplate},
		"ignore_missing_component_templates": []string{
			customTemplate,
		},
		"template": dict{"lifecycle": lifecycle},
		"_meta":    dict{"managed_by": "braid"},
	}
}

func (c *client) put(ctx context.Context, path string, body dict) error {
	b, err := json.Marshal(body)
	if err != nil {
		panic("BUG: a template does not marshal: " + err.Error())
	}
	return c.call(ctx, request{method: http.MethodPut, path: path, body: b}, nil)
}

// install puts the templates of streams in place, the mappings first. It also looks at the task list, so that a user
// who may not see it is told at the start and not at the first doubt.
func (c *client) install(ctx context.Context, streams []string, retention time.Duration) error {
	err := c.put(ctx, "/_component_template/"+mappingsTemplate, dict{
		"template": dict{"settings": dict{"auto_expand_replicas": "0-1"}, "mappings": mappings()},
		"_meta":    dict{"managed_by": "braid"},
	})
	for _, stream := range streams {
		if err == nil {
			err = c.put(ctx, "/_index_template/braid-"+name(stream), indexTemplate(stream, retention))
		}
	}
	if err == nil {
		_, err = c.running(ctx, "braid")
	}
	if err != nil {
		return fmt.Errorf("cannot prepare elasticsearch: %w", err)
	}
	return nil
}

// backingIndices returns the backing indices of stream, oldest first, the write index last; nil if there is none.
func (c *client) backingIndices(ctx context.Context, stream string) ([]string, error) {
	var answer struct {
		DataStreams []struct {
			Indices []struct {
				Name string `json:"index_name"`
			} `json:"indices"`
		} `json:"data_streams"`
	}
	err := c.call(ctx, request{method: http.MethodGet, path: "/_data_stream/" + name(stream)}, &answer)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range answer.DataStreams {
		for _, index := range d.Indices {
			names = append(names, index.Name)
		}
	}
	return names, nil
}

// ensure makes the data stream if there is none and returns its write index. It is made by name and not by its first
// bulk, so that the write index is known before anything is sent to it.
func (c *client) ensure(ctx context.Context, stream string) (writeIndex string, err error) {
	var refused error
	for range 2 {
		indices, err := c.backingIndices(ctx, stream)
		if err != nil {
			return "", err
		}
		if len(indices) > 0 {
			return indices[len(indices)-1], nil
		}
		refused = c.call(ctx, request{method: http.MethodPut, path: "/_data_stream/" + name(stream)}, nil)
		if refused != nil && !isStatus(refused, http.StatusBadRequest) { // 400: perhaps another process was faster
			break
		}
	}
	return "", fmt.Errorf("cannot make the data stream %s: %w", stream, refused)
}
