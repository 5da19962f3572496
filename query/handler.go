package query

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/braidhq/braid/telemetry"
)

// Options of the handler. What is nil is answered with 503.
type Options struct {
	Logs              Logs
	Traces            Traces
	Search            TraceSearch
	Queryable         storage.Queryable
	ExemplarQueryable storage.ExemplarQueryable
	Registerer        prometheus.Registerer // nil: unregistered
	Now               func() time.Time      // nil: time.Now
}

// The limits of PromQL, which are Prometheus' defaults.
const (
	maxSamples    = 50_000_000
	promqlTimeout = 2 * time.Minute
)

type handler struct {
	Options
	engine  *promql.Engine
	parser  parser.Parser
	metrics *metrics
}

// New returns the HTTP API: GET /api/v1/logs and /api/v1/traces/{id}, and of Prometheus' API query, query_range,
// query_exemplars, series, labels, label/{name}/values and metadata (always empty). Below /jaeger it is Jaeger's query API:
// services, operations, traces, traces/{id} and dependencies (always empty).
//
// Errors before the first byte are Prometheus' error object, {"status":"error","errorType":…,"error":…}.
// The header X-Scope-OrgID names the tenant of lines and traces.
//
// Prometheus' own web/api/v1 was looked at: it brings the notifier, rules, Alertmanager's models, an OpenAPI library
// and parts of the OpenTelemetry Collector, 115 packages, for the same seven endpoints.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{Options: o, parser: parser.NewParser(parser.Options{}), metrics: newMetrics(o.Registerer)}
	h.engine = promql.NewEngine(promql.EngineOpts{
		Reg: o.Registerer, MaxSamples: maxSamples, Timeout: promqlTimeout,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: h.parser,
	})
	mux := http.NewServeMux()
	h.handle(mux, "logs", "GET /api/v1/logs", o.Logs != nil, h.logs)
	h.handle(mux, "trace", "GET /api/v1/traces/{id}", o.Traces != nil, h.trace)
	samples := o.Queryable != nil
	for _, method := range []string{"GET ", "POST "} {
		h.handle(mux, "query", method+"/api/v1/query", samples, h.data(h.instant))
		h.handle(mux, "query_range", method+"/api/v1/query_range", samples, h.data(h.ranged))
		h.handle(mux, "query_exemplars", method+"/api/v1/query_exemplars", o.ExemplarQueryable != nil, h.data(h.exemplars))
		h.handle(mux, "series", method+"/api/v1/series", samples, h.data(h.series))
		h.handle(mux, "labels", method+"/api/v1/labels", samples, h.data(h.labelNames))
	}
	h.handle(mux, "label_values", "GET /api/v1/label/{name}/values", samples, h.data(h.labelValues))
	h.jaeger(mux)
	h.handle(mux, "metadata", "GET /api/v1/metadata", samples, h.data(noMetadata))
	return mux
}

// handle registers f, whose errors are answered as Prometheus does.
func (h *handler) handle(mux *http.ServeMux, name, pattern string, available bool, f func(http.ResponseWriter, *http.Request) error) {
	h.serve(mux, name, pattern, available, writeError, f)
}

// serve registers f; where nothing can answer, it says so. An error of f is answered by fail if f has not begun to.
func (h *handler) serve(
	mux *http.ServeMux, name, pattern string, available bool, fail func(http.ResponseWriter, error), f func(http.ResponseWriter, *http.Request) error,
) {
	duration := h.metrics.duration.WithLabelValues(name)
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		start := h.Now()
		err := error(&apiError{http.StatusServiceUnavailable, "unavailable", "no store that can answer this is configured"})
		if available {
			err = f(w, r)
		}
		duration.Observe(h.Now().Sub(start).Seconds())
		if err != nil {
			h.metrics.errors.WithLabelValues(name).Inc()
			fail(w, err)
		}
	})
}

func tenant(r *http.Request) string { return r.Header.Get("X-Scope-OrgID") }

func (h *handler) trace(w http.ResponseWriter, r *http.Request) error {
	var id telemetry.TraceID
	if err := decodeID(id[:], r.PathValue("id"), "trace id"); err != nil || id.IsZero() {
		return badData("a trace id has 32 hex digits that are not all zero, and %q has not", r.PathValue("id"))
	}
	t, err := h.Traces.Trace(r.Context(), tenant(r), id)
	if err != nil {
		return err
	}
	if t == nil {
		return &apiError{http.StatusNotFound, "not_found", "nothing is known of trace " + id.String()}
	}
	v := NewTraceView(t)
	h.surround(r.Context(), tenant(r), t, v)
	return writeJSON(w, http.StatusOK, v)
}

// writeJSON answers with v. What fails after the status has been sent is the client's connection, which nobody is left
// to tell about.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
	return nil
}
