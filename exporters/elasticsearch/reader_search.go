package elasticsearch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/braidhq/braid/exporters/elasticsearch/ecs"
	"github.com/braidhq/braid/telemetry"
)

// How many namespaces, services, and operations of one service, an answer names: the ones with the most records.
const (
	maxNamespaces = 10_000
	maxServices   = 10_000
	maxOperations = 1_000
)

// attributeFields are the fields of the attributes that a document does not have among its labels.
var attributeFields = map[string]string{
	"k8s.cluster.name":            "orchestrator.cluster.name",
	"k8s.node.name":               "kubernetes.node.name",
	"k8s.namespace.name":          namespaceField,
	"k8s.pod.name":                "kubernetes.pod.name",
	"k8s.pod.uid":                 podField,
	"k8s.container.name":          containerField,
	"k8s.container.restart_count": restartField,
	"container.id":                "container.id",
	"service.name":                serviceField,
	"service.namespace":           "service.namespace",
	"service.version":             "service.version",
	"service.instance.id":         "service.node.name",
}

// Services returns the services that have stored spans, in one of namespaces (nil: anywhere), by name.
func (r *Reader) Services(ctx context.Context, tenant string, namespaces []string) ([]string, error) {
	found, err := r.names(ctx, r.traces, r.tenant(tenant, append(inNamespaces(namespaces), exists(serviceField))...),
		dict{"terms": dict{"field": serviceField, "size": maxServices}})
	if err != nil {
		return nil, fmt.Errorf("cannot list services: %w", err)
	}
	return sortedKeys(found), nil
}

// Namespaces returns the namespaces of which lines or spans are stored, by name.
func (r *Reader) Namespaces(ctx context.Context, tenant string) ([]string, error) {
	var all []string
	for _, stream := range []string{r.logs, r.traces} {
		found, err := r.names(ctx, stream, r.tenant(tenant, exists(namespaceField)), dict{"terms": dict{"field": namespaceField, "size": maxNamespaces}})
		if err != nil {
			return nil, fmt.Errorf("cannot list namespaces: %w", err)
		}
		all = append(all, sortedKeys(found)...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// sortedKeys returns the keys of buckets that are texts and not empty.
func sortedKeys(buckets []bucket) []string {
	var keys []string
	for _, b := range buckets {
		if name, ok := b.Key.(string); ok && name != "" {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}

// inNamespaces matches the documents of any of namespaces; nil: all.
func inNamespaces(namespaces []string) []dict {
	if namespaces == nil {
		return nil
	}
	return []dict{terms(namespaceField, namespaces)}
}

// Operations returns what a service has stored spans of, in one of namespaces (nil: anywhere), by name and kind.
func (r *Reader) Operations(ctx context.Context, tenant, service string, namespaces []string) ([]telemetry.Operation, error) {
	kinds := dict{"sub": dict{"terms": dict{"field": "span.kind", "size": 10}}}
	found, err := r.names(ctx, r.traces, r.tenant(tenant, append(inNamespaces(namespaces), term(serviceField, service))...),
		dict{"terms": dict{"field": "span.name", "size": maxOperations}, "aggs": kinds})
	if err != nil {
		return nil, fmt.Errorf("cannot list operations: %w", err)
	}
	var operations []telemetry.Operation
	for _, b := range found {
		name, _ := b.Key.(string)
		for _, kind := range b.Sub.Buckets {
			text, _ := kind.Key.(string)
			operations = append(operations, telemetry.Operation{Name: name, Kind: ecs.SpanKind(text)})
		}
	}
	slices.SortFunc(operations, func(a, b telemetry.Operation) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return operations, nil
}

// names returns the buckets of one aggregation over the documents of stream that query matches.
func (r *Reader) names(ctx context.Context, stream string, query, aggregation dict) ([]bucket, error) {
	s, err := r.client.open(ctx, stream)
	if err != nil || s == nil {
		return nil, err
	}
	defer s.close(ctx)
	answer, err := s.search(ctx, dict{"query": query, "size": 0, "aggs": dict{"sub": aggregation}})
	if err != nil {
		return nil, err
	}
	var top bucket
	if err := json.Unmarshal(answer.Aggregations, &top); err != nil {
		return nil, fmt.Errorf("cannot read an aggregation: %w", err)
	}
	return top.Sub.Buckets, nil
}

func (r *Reader) tenant(tenant string, filters ...dict) dict {
	if tenant != "" {
		filters = append(filters, term("organization.id", tenant))
	}
	return all(filters...)
}

// FindTraces returns the ids of traces that match, those with the newest matching span first.
func (r *Reader) FindTraces(ctx context.Context, q telemetry.TraceQuery) ([]telemetry.TraceID, error) {
	s, err := r.client.open(ctx, r.traces)
	if err != nil || s == nil {
		return nil, err
	}
	defer s.close(ctx)
	if q.Limit <= 0 {
		q.Limit = telemetry.DefaultTraces
	}
	newest := append(byTime("desc")[:1], dict{"trace.id": "asc"})
	answer, err := s.search(ctx, dict{
		"query": r.tenant(q.Tenant, spanFilters(&q)...), "size": q.Limit, "sort": newest,
		"collapse": dict{"field": "trace.id"}, "_source": []string{"@timestamp", "trace.id"},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot search for traces: %w", err)
	}
	var ids []telemetry.TraceID
	for i := range answer.Hits.Hits {
		var span telemetry.SpanRecord
		if err := ecs.DecodeSpan(answer.Hits.Hits[i].Source, &span); err != nil {
			return nil, err
		}
		if !span.TraceID.IsZero() { // of another writer
			ids = append(ids, span.TraceID)
		}
	}
	return ids, nil
}

// spanFilters match the spans that q asks for. Attributes are compared with what stands in the document, where a float
// always has a fraction or an exponent.
func spanFilters(q *telemetry.TraceQuery) []dict {
	filters := append(inNamespaces(q.Namespaces), exists("trace.id"))
	if q.Service != "" {
		filters = append(filters, term(serviceField, q.Service))
	}
	if q.Operation != "" {
		filters = append(filters, term("span.name", q.Operation))
	}
	if len(q.Kinds) > 0 {
		filters = append(filters, terms("span.kind", texts(q.Kinds)))
	}
	if len(q.Statuses) > 0 {
		filters = append(filters, terms("span.status.code", statusTexts(q.Statuses)))
	}
	for _, a := range q.Attrs {
		places := []dict{term("attributes."+a.Key, a.Value), term("labels."+a.Key, a.Value)}
		if field := attributeFields[a.Key]; field != "" {
			places = append(places, dict{"match": dict{field: dict{"query": a.Value, "lenient": true}}})
		}
		filters = append(filters, anyOf(places))
	}
	filters = append(filters, within("@timestamp", "gte", q.FromUnixNano, formatTime)...)
	filters = append(filters, within("@timestamp", "lt", q.ToUnixNano, formatTime)...)
	nanos := func(n int64) int64 { return n }
	filters = append(filters, within("event.duration", "gte", q.MinNano, nanos)...)
	return append(filters, within("event.duration", "lte", q.MaxNano, nanos)...)
}

// within bounds a field on one side, unless the bound is 0.
func within[T any](field, side string, bound int64, as func(int64) T) []dict {
	if bound == 0 {
		return nil
	}
	return []dict{{"range": dict{field: dict{side: as(bound)}}}}
}

func texts(kinds []telemetry.SpanKind) (names []string) {
	for _, k := range kinds {
		names = append(names, k.String())
	}
	return names
}

// statusTexts leaves out codes that no span has: their name is that of the unset one.
func statusTexts(codes []telemetry.StatusCode) []string {
	names := []string{}
	for _, c := range codes {
		if c <= telemetry.StatusError {
			names = append(names, c.String())
		}
	}
	return names
}
