package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A service is one running service, as its routes see it.
type service struct {
	Service
	topology *Topology
	log      *slog.Logger
	err      *output
	metrics  *metrics
	tracing  *sdktrace.TracerProvider
	tracer   trace.Tracer
	client   *http.Client
	mux      *http.ServeMux
}

// A route answers one request. A *failure says with which status it failed; any other error is a 500.
type route func(w http.ResponseWriter, r *http.Request) error

// failure is an answer other than 2xx, one's own or that of a service further down.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

// handle adds a route under an http.ServeMux pattern; the pattern also names its spans and its metrics.
func (s *service) handle(pattern string, h route) {
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Trace-Id", trace.SpanContextFromContext(r.Context()).TraceID().String())
		start := time.Now()
		status := http.StatusOK
		if err := h(w, r); err != nil {
			status = http.StatusInternalServerError
			var f *failure
			if errors.As(err, &f) {
				status = f.status
			}
			http.Error(w, err.Error(), status)
			level := slog.LevelWarn
			if status >= 500 {
				level = slog.LevelError
			}
			s.log.Log(r.Context(), level, "request failed", "route", pattern, "status", status, "err", err.Error())
		}
		s.log.InfoContext(r.Context(), "served", "route", pattern, "path", r.URL.Path, "status", status,
			"duration_ms", float64(time.Since(start).Microseconds())/1000)
	})
	handler = s.metrics.instrument(pattern, handler)
	s.mux.Handle(pattern, otelhttp.NewHandler(handler, pattern,
		otelhttp.WithTracerProvider(s.tracing), otelhttp.WithPropagators(propagation.TraceContext{})))
}

// newClient returns a client whose requests are spans and carry the trace on.
func newClient(tracing trace.TracerProvider) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	return &http.Client{Timeout: 10 * time.Second, Transport: otelhttp.NewTransport(transport,
		otelhttp.WithTracerProvider(tracing), otelhttp.WithPropagators(propagation.TraceContext{}))}
}

// call asks another service and decodes its JSON answer into out, which may be nil.
func (s *service) call(ctx context.Context, method, name, path string, query url.Values, out any) error {
	peer, err := s.topology.Find(name)
	if err != nil {
		return err
	}
	target := url.URL{Scheme: "http", Host: peer.Address, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("cannot ask %s: %w", name, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return &failure{http.StatusBadGateway, fmt.Sprintf("cannot reach %s: %v", name, err)}
	}
	defer resp.Body.Close()
	// The client's span ends when the body has been read to its end.
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return &failure{http.StatusBadGateway, fmt.Sprintf("cannot read what %s says: %v", name, err)}
	}
	if resp.StatusCode >= 300 {
		status := resp.StatusCode
		if status >= 500 {
			status = http.StatusBadGateway
		}
		return &failure{status, fmt.Sprintf("%s said %d: %s", name, resp.StatusCode, bytes.TrimSpace(body))}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &failure{http.StatusBadGateway, fmt.Sprintf("cannot understand %s: %v", name, err)}
	}
	return nil
}

// work stands for what takes a service time, as a span of its own.
func (s *service) work(ctx context.Context, name string, d time.Duration) error {
	ctx, span := s.tracer.Start(ctx, name)
	defer span.End()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}
