package run

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// State is what /-/healthy and /-/ready answer by. Healthy means that braid itself works; a sink that is away does not
// make it unhealthy. Ready means that it takes data.
type State struct {
	ready  atomic.Bool
	checks []func() error
}

// SetReady says whether data is taken.
func (s *State) SetReady(ready bool) { s.ready.Store(ready) }

// AddCheck adds a check of health; it is called for every question and must be quick. Call it before serving.
func (s *State) AddCheck(check func() error) { s.checks = append(s.checks, check) }

// Err returns the first failing check.
func (s *State) Err() error {
	for _, check := range s.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// NewRegistry returns a registry that already knows the process, the Go runtime and the build.
func NewRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "braid_build_info", Help: "1, with the version as a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// What everyone may ask, without authentication.
const (
	HealthyPath = "/-/healthy"
	ReadyPath   = "/-/ready"
)

// A Mux is what a web listener serves. What is registered with Handle or HandleFunc goes through Guard, so that an
// endpoint that nobody thought of is guarded too.
type Mux struct {
	// Guard is put in front of what is not open; nil: nothing is.
	Guard func(http.Handler) http.Handler

	mux      *http.ServeMux
	patterns []string
}

// NewMux serves /metrics, /-/healthy, /-/ready and /debug/pprof.
func NewMux(registry prometheus.Gatherer, state *State) *Mux {
	m := &Mux{mux: http.NewServeMux()}
	m.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	m.Own("GET "+HealthyPath, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := state.Err(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "braid is healthy.")
	}))
	m.Own("GET "+ReadyPath, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !state.ready.Load() {
			http.Error(w, "braid is not ready.", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "braid is ready.")
	}))
	m.HandleFunc("/debug/pprof/", pprof.Index)
	m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return m
}

// Handle registers h, to be reached through Guard.
func (m *Mux) Handle(pattern string, h http.Handler) {
	m.Own(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.Guard != nil {
			m.Guard(h).ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
}

// HandleFunc is Handle of a function.
func (m *Mux) HandleFunc(pattern string, h http.HandlerFunc) { m.Handle(pattern, h) }

// Own registers h, which guards itself or needs no guard.
func (m *Mux) Own(pattern string, h http.Handler) {
	m.mux.Handle(pattern, h)
	m.patterns = append(m.patterns, pattern)
}

// ServeHTTP implements http.Handler.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// Patterns lists what is registered.
func (m *Mux) Patterns() []string { return slices.Clone(m.patterns) }
