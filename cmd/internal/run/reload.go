package run

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// ReloadPath is where a POST reloads the configuration, as in Prometheus.
const ReloadPath = "/-/reload"

// A Reloader reads the configuration again when it is asked to, by SIGHUP or by a POST to [ReloadPath], and has the changed
// parts replaced. One that is refused changes nothing.
type Reloader struct {
	requests chan chan error
	logger   *slog.Logger
	last     prometheus.Gauge // as Prometheus names them
	success  prometheus.Gauge
}

// NewReloader returns a reloader, whose metrics are registered.
func NewReloader(registry prometheus.Registerer, logger *slog.Logger) *Reloader {
	r := &Reloader{
		requests: make(chan chan error), logger: logger,
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_config_last_reload_successful", Help: "Whether the last attempt to reload the configuration succeeded.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_config_last_reload_success_timestamp_seconds", Help: "When the configuration in use was read.",
		}),
	}
	registry.MustRegister(r.success, r.last)
	r.note(nil)
	return r
}

func (r *Reloader) note(err error) {
	r.success.Set(0)
	if err == nil {
		r.success.Set(1)
		r.last.SetToCurrentTime()
	}
}

// ServeHTTP implements http.Handler: 200 says that the configuration is in use, 500 why it is not.
func (r *Reloader) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	answer := make(chan error, 1)
	select {
	case r.requests <- answer:
	case <-req.Context().Done():
		return
	}
	select {
	case err := <-answer:
		if err != nil {
			http.Error(w, "cannot reload the configuration: "+err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "The configuration is reloaded.")
	case <-req.Context().Done():
	}
}

// Run calls reload for every request until ctx ends, one after the other.
func (r *Reloader) Run(ctx context.Context, reload func() error) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		var answer chan error
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
		case answer = <-r.requests:
		}
		err := reload()
		r.note(err)
		if err != nil {
			r.logger.Error("the configuration is not reloaded: what was in use stays", "err", err)
		} else {
			r.logger.Info("the configuration is reloaded")
		}
		if answer != nil {
			answer <- err
		}
	}
}

// Fixed returns an error that names the sections which have changed and take a restart, nil if there are none.
func Fixed(changed map[string]bool) error {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if changed[name] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%s changed: that takes a restart, and nothing else is taken over before it", strings.Join(names, ", "))
}
