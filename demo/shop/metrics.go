package shop

import (
	"bytes"
	"context"
	"net/http"

	"github.com/braidhq/braid/demo/ledger"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"
)

// metrics are those of one service, with a registry of their own.
type metrics struct {
	registry *prometheus.Registry
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	outcomes *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "How long requests took, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{"route", "method", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_requests_in_flight", Help: "Requests being served.",
		}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shop_outcomes_total", Help: "What came of business operations.",
		}, []string{"operation", "outcome"}),
	}
	m.registry.MustRegister(m.duration, m.inFlight, m.outcomes, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// instrument observes requests of one route, with the trace id as exemplar.
func (m *metrics) instrument(route string, h http.Handler) http.Handler {
	byRoute := m.duration.MustCurryWith(prometheus.Labels{"route": route})
	exemplar := func(ctx context.Context) prometheus.Labels {
		if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
			return prometheus.Labels{"trace_id": span.TraceID().String()}
		}
		return nil
	}
	return promhttp.InstrumentHandlerInFlight(m.inFlight,
		promhttp.InstrumentHandlerDuration(byRoute, h, promhttp.WithExemplarFromContext(exemplar)))
}

// exposition serves /metrics as OpenMetrics text, whatever is asked for: a format whose samples are lines, so that the
// ledger can count them. A body that a scraper took whole is entered; one for curl is not, because nobody stores it.
func (m *metrics) exposition(book *ledger.Writer) http.Handler {
	inner := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, DisableCompression: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.Clone(r.Context())
		text.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		held := &heldBody{header: w.Header(), status: http.StatusOK}
		inner.ServeHTTP(held, text)
		w.WriteHeader(held.status)
		_, err := w.Write(held.body.Bytes())
		scraped := r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds") != ""
		if scraped && err == nil && r.Context().Err() == nil && held.status == http.StatusOK {
			book.Metrics(held.body.Bytes())
		}
	})
}

// heldBody is a ResponseWriter that keeps the body.
type heldBody struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldBody) Header() http.Header         { return h.header }
func (h *heldBody) WriteHeader(status int)      { h.status = status }
func (h *heldBody) Write(p []byte) (int, error) { return h.body.Write(p) }
