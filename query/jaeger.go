package query

import (
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

func (h *handler) jaeger() {
	search, traces := h.sources.search != nil, h.sources.traces != nil
	for _, e := range []struct {
		pattern, name string
		available     bool
		answer        func(*http.Request, *reader) (any, int, error)
	}{
		{"GET /jaeger/api/services", "jaeger_services", search, jaegerServices},
		{"GET /jaeger/api/services/{service}/operations", "jaeger_operations", search, jaegerOperationNames},
		{"GET /jaeger/api/operations", "jaeger_operations", search, jaegerOperations},
		{"GET /jaeger/api/traces", "jaeger_traces", search && traces, jaegerSearch},
		{"GET /jaeger/api/traces/{id}", "jaeger_trace", traces, jaegerOne},
		{"GET /jaeger/api/dependencies", "jaeger_dependencies", true, noDependencies},
	} {
		h.serve(e.name, e.pattern, e.available, writeJaegerError, h.records(func(w http.ResponseWriter, r *http.Request, rd *reader) error {
			if err := r.ParseForm(); err != nil {
				return badData("cannot read the parameters: %v", err)
			}
			rd.warn(w)
			data, total, err := e.answer(r, rd)
			if err != nil {
				w.Header().Del("Warning")
				return err
			}
			return writeJSON(w, http.StatusOK, jaegerAnswer{Data: data, Total: total})
		}))
	}
}

// writeJaegerError answers with err as Jaeger does.
func writeJaegerError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	if err := writeJSON(w, e.status, jaegerAnswer{Errors: []jaegerError{{Code: e.status, Msg: e.text}}}); err != nil {
		panic("BUG: an error body does not marshal: " + err.Error())
	}
}

func jaegerServices(_ *http.Request, rd *reader) (any, int, error) {
	services, err := rd.services()
	return append([]string{}, services...), len(services), err
}

func jaegerOperationNames(r *http.Request, rd *reader) (any, int, error) {
	operations, err := rd.operations(r.PathValue("service"))
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

func jaegerOperations(r *http.Request, rd *reader) (any, int, error) {
	service, kind := r.FormValue("service"), r.FormValue("spanKind")
	if service == "" {
		return nil, 0, badData("parameter \"service\" is needed")
	}
	operations, err := rd.operations(service)
	found := []jaegerOperation{}
	for _, o := range operations {
		if name := jaegerKind(o.Kind); kind == "" || kind == name {
			found = append(found, jaegerOperation{o.Name, name})
		}
	}
	return found, len(found), err
}

// noDependencies answers Grafana's dependency graph; the service graph is in the metrics traces_service_graph_*.
func noDependencies(*http.Request, *reader) (any, int, error) { return []any{}, 0, nil }

func jaegerOne(r *http.Request, rd *reader) (any, int, error) {
	id, err := jaegerID(r.PathValue("id"))
	if err != nil {
		return nil, 0, err
	}
	t, hidden, err := rd.trace(id)
	if err == nil && (t == nil || len(t.Spans) == 0) {
		err = &apiError{http.StatusNotFound, "not_found", "trace not found"}
	}
	if err != nil {
		return nil, 0, err
	}
	return []*jaegerTrace{newJaegerTrace(t, hidden)}, 1, nil
}

func jaegerSearch(r *http.Request, rd *reader) (any, int, error) {
	ids, err := jaegerIDs(r.Form["traceID"])
	if err == nil && ids == nil {
		var q telemetry.TraceQuery
		if q, err = jaegerQuery(r); err == nil {
			ids, err = rd.findTraces(q)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	found, err := jaegerTraces(rd, ids)
	return found, len(found), err
}

func jaegerTraces(rd *reader, ids []telemetry.TraceID) ([]*jaegerTrace, error) {
	found, spans := []*jaegerTrace{}, 0
	for i, id := range ids {
		t, hidden, err := rd.trace(id)
		if err != nil {
			return nil, err
		}
		if t == nil || len(t.Spans) == 0 {
			continue // expired since it was found
		}
		found = append(found, newJaegerTrace(t, hidden))
		if spans += len(t.Spans); spans >= maxJaegerSpans && i+1 < len(ids) {
			last := found[len(found)-1]
			last.Warnings = append(last.Warnings, fmt.Sprintf("the answer ends here after %d spans: %d more traces match", spans, len(ids)-i-1))
			break
		}
	}
	return found, nil
}
