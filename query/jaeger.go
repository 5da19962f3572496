package query

import (
	"context"
	"fmt"
	"net/http"

	"github.com/braidhq/braid/telemetry"
)

// Jaeger's query API, as its UI and Grafana's data source speak it (jaegertracing.io, APIs, "HTTP JSON"): times and
// durations are microseconds, every answer is a jaegerAnswer. The base URL of a data source is …/jaeger.

// maxJaegerTraces is how many traces one search may ask for; maxJaegerSpans ends an answer that has become too large,
// after the trace that made it so.
const (
	maxJaegerTraces = 1500
	maxJaegerSpans  = 100_000
)

type jaegerAnswer struct {
	Data   any           `json:"data"`
	Total  int           `json:"total"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
	Errors []jaegerError `json:"errors"`
}

type jaegerError struct {
	Code    int    `json:"code"`
	Msg     string `json:"msg"`
	TraceID string `json:"traceID,omitempty"`
}

func (h *handler) jaeger(mux *http.ServeMux) {
	search := h.Search != nil
	for pattern, e := range map[string]struct {
		name      string
		available bool
		answer    func(*http.Request) (any, int, error)
	}{
		"GET /jaeger/api/services":                      {"jaeger_services", search, h.jaegerServices},
		"GET /jaeger/api/services/{service}/operations": {"jaeger_operations", search, h.jaegerOperationNames},
		"GET /jaeger/api/operations":                    {"jaeger_operations", search, h.jaegerOperations},
		"GET /jaeger/api/traces":                        {"jaeger_traces", search && h.Traces != nil, h.jaegerSearch},
		"GET /jaeger/api/traces/{id}":                   {"jaeger_trace", h.Traces != nil, h.jaegerTrace},
		"GET /jaeger/api/dependencies":                  {"jaeger_dependencies", true, noDependencies},
	} {
		h.serve(mux, e.name, pattern, e.available, writeJaegerError, func(w http.ResponseWriter, r *http.Request) error {
			if err := r.ParseForm(); err != nil {
				return badData("cannot read the parameters: %v", err)
			}
			data, total, err := e.answer(r)
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusOK, jaegerAnswer{Data: data, Total: total})
		})
	}
}

// writeJaegerError answers with err as Jaeger does.
func writeJaegerError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	if err := writeJSON(w, e.status, jaegerAnswer{Errors: []jaegerError{{Code: e.status, Msg: e.text}}}); err != nil {
		panic("BUG: an error body does not marshal: " + err.Error())
	}
}

func (h *handler) jaegerServices(r *http.Request) (any, int, error) {
	services, err := h.Search.Services(r.Context(), tenant(r))
	return append([]string{}, services...), len(services), err
}

func (h *handler) jaegerOperationNames(r *http.Request) (any, int, error) {
	operations, err := h.Search.Operations(r.Context(), tenant(r), r.PathValue("service"))
	names := []string{}
	for _, o := range operations {
		if len(names) == 0 || names[len(names)-1] != o.Name { // of several kinds
			names = append(names, o.Name)
		}
	}
	return names, len(names), err
}

type jaegerOperation struct {
	Name     string `json:"name"`
	SpanKind string `json:"spanKind"`
}

func (h *handler) jaegerOperations(r *http.Request) (any, int, error) {
	service, kind := r.FormValue("service"), r.FormValue("spanKind")
	if service == "" {
		return nil, 0, badData("parameter \"service\" is needed")
	}
	operations, err := h.Search.Operations(r.Context(), tenant(r), service)
	found := []jaegerOperation{}
	for _, o := range operations {
		if name := jaegerKind(o.Kind); kind == "" || kind == name {
			found = append(found, jaegerOperation{o.Name, name})
		}
	}
	return found, len(found), err
}

// noDependencies answers Grafana's dependency graph; the service graph is in the metrics traces_service_graph_*.
func noDependencies(*http.Request) (any, int, error) { return []any{}, 0, nil }

func (h *handler) jaegerTrace(r *http.Request) (any, int, error) {
	id, err := jaegerID(r.PathValue("id"))
	if err != nil {
		return nil, 0, err
	}
	t, err := h.Traces.Trace(r.Context(), tenant(r), id)
	if err == nil && (t == nil || len(t.Spans) == 0) {
		err = &apiError{http.StatusNotFound, "not_found", "trace not found"}
	}
	if err != nil {
		return nil, 0, err
	}
	return []*jaegerTrace{newJaegerTrace(t)}, 1, nil
}

func (h *handler) jaegerSearch(r *http.Request) (any, int, error) {
	ids, err := jaegerIDs(r.Form["traceID"])
	if err == nil && ids == nil {
		var q telemetry.TraceQuery
		if q, err = jaegerQuery(r); err == nil {
			ids, err = h.Search.FindTraces(r.Context(), q)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	found, err := h.jaegerTraces(r.Context(), tenant(r), ids)
	return found, len(found), err
}

func (h *handler) jaegerTraces(ctx context.Context, tenant string, ids []telemetry.TraceID) ([]*jaegerTrace, error) {
	found, spans := []*jaegerTrace{}, 0
	for i, id := range ids {
		t, err := h.Traces.Trace(ctx, tenant, id)
		if err != nil {
			return nil, err
		}
		if t == nil || len(t.Spans) == 0 {
			continue // expired since it was found
		}
		found = append(found, newJaegerTrace(t))
		if spans += len(t.Spans); spans >= maxJaegerSpans && i+1 < len(ids) {
			last := found[len(found)-1]
			last.Warnings = append(last.Warnings, fmt.Sprintf("the answer ends here after %d spans: %d more traces match", spans, len(ids)-i-1))
			break
		}
	}
	return found, nil
}
