package run

import (
	"fmt"
	"net/http"
	"net/http/pprof"
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

// Mux serves /metrics, /-/healthy, /-/ready and /debug/pprof.
func Mux(registry *prometheus.Registry, state *State) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		if err := state.Err(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "braid is healthy.")
	})
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !state.ready.Load() {
			http.Error(w, "braid is not ready.", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "braid is ready.")
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
