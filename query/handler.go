package query

import (
	"encoding/json"
	"net/http"
	"slices"
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
	Access            Access                // nil: Everything
	Registerer        prometheus.Registerer // nil: unregistered
	Now               func() time.Time      // nil: time.Now
}

// The limits of PromQL, which are Prometheus' defaults.
const (
	maxSamples    = 50_000_000
	promqlTimeout = 2 * time.Minute
)

// An API answers the requests that New lists.
type API struct {
	mux      *http.ServeMux
	patterns []string
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Patterns lists the endpoints, as [http.ServeMux] takes them.
func (a *API) Patterns() []string { return slices.Clone(a.patterns) }

type handler struct {
	API
	Now               func() time.Time
	Queryable         storage.Queryable
	ExemplarQueryable storage.ExemplarQueryable

	sources sources
	access  Access
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
// What an answer shows is bounded by o.Access, asked about the listen.Identity of the request's context: lines and spans by
// namespace, everything of Prometheus' API as a whole.
//
// Prometheus' own web/api/v1 was looked at: it brings the notifier, rules, Alertmanager's models, an OpenAPI library
// and parts of the OpenTelemetry Collector, 115 packages, for the same seven endpoints.
func New(o Options) *API {
	h := &handler{
		API: API{mux: http.NewServeMux()}, Now: o.Now, Queryable: o.Queryable, ExemplarQueryable: o.ExemplarQueryable,
		sources: sources{o.Logs, o.Traces, o.Search}, access: o.Access,
		parser: parser.NewParser(parser.Options{}), metrics: newMetrics(o.Registerer),
	}
	if h.Now == nil {
		h.Now = time.Now
	}
	if h.access == nil {
		h.access = Everything{}
	}
	h.engine = promql.NewEngine(promql.EngineOpts{
		Reg: o.Registerer, MaxSamples: maxSamples, Timeout: promqlTimeout,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: h.parser,
	})
	h.serve("logs", "GET /api/v1/logs", o.Logs != nil, writeError, h.records(h.logs))
	h.serve("trace", "GET /api/v1/traces/{id}", o.Traces != nil, writeError, h.records(h.trace))
	samples := o.Queryable != nil
	for _, method := range []string{"GET ", "POST "} {
		h.handle("query", method+"/api/v1/query", samples, h.instant)
		h.handle("query_range", method+"/api/v1/query_range", samples, h.ranged)
		h.handle("query_exemplars", method+"/api/v1/query_exemplars", o.ExemplarQueryable != nil, h.exemplars)
		h.handle("series", method+"/api/v1/series", samples, h.series)
		h.handle("labels", method+"/api/v1/labels", samples, h.labelNames)
	}
	h.handle("label_values", "GET /api/v1/label/{name}/values", samples, h.labelValues)
	h.handle("metadata", "GET /api/v1/metadata", samples, noMetadata)
	h.jaeger()
	return &h.API
}

// handle registers an endpoint of Prometheus' API.
func (h *handler) handle(name, pattern string, available bool, f func(r *http.Request) (promAnswer, error)) {
	h.serve(name, pattern, available, writeError, h.samples(h.data(f)))
}

// records gives f the reader of its request, without which it gets at nothing.
func (h *handler) records(f func(http.ResponseWriter, *http.Request, *reader) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		rd, err := h.reader(r)
		if err != nil {
			return err
		}
		return f(w, r, rd)
	}
}

// serve registers f; where nothing can answer, it says so. An error of f is answered by fail if f has not begun to.
func (h *handler) serve(
	name, pattern string, available bool, fail func(http.ResponseWriter, error), f func(http.ResponseWriter, *http.Request) error,
) {
	h.patterns = append(h.patterns, pattern)
	duration := h.metrics.duration.WithLabelValues(name)
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		start := h.Now()
		err := error(&apiError{http.StatusServiceUnavailable, "unavailable", "no store that can answer this is configured"})
		if available {
			err = f(w, r)
		}
		duration.Observe(h.Now().Sub(start).Seconds())
		if err != nil {
			h.metrics.errors.WithLabelValues(name).Inc()
			fail(w, h.told(r, err))
		}
	})
}

func tenant(r *http.Request) string { return r.Header.Get("X-Scope-OrgID") }

func (h *handler) trace(w http.ResponseWriter, r *http.Request, rd *reader) error {
	var id telemetry.TraceID
	if err := decodeID(id[:], r.PathValue("id"), "trace id"); err != nil || id.IsZero() {
		return badData("a trace id has 32 hex digits that are not all zero, and %q has not", r.PathValue("id"))
	}
	t, hidden, err := rd.trace(id)
	if err != nil {
		return err
	}
	if t == nil {
		return &apiError{http.StatusNotFound, "not_found", "nothing is known of trace " + id.String()}
	}
	v := NewTraceView(t)
	if hidden != (Hidden{}) {
		v.Hidden = &hidden
	}
	h.surround(r, rd, t, v)
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
