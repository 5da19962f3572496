package run

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/listen"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/receivers/otlp"
	"github.com/braidhq/braid/receivers/remotewrite"
	"github.com/braidhq/braid/telemetry"
)

// Listeners are all listeners of a verb, opened first so that a port in use is said before anything else happens.
type Listeners struct {
	http, grpc, web *listen.Listener // nil: off
}

// ListenOptions are what listeners need beside their configuration.
type ListenOptions struct {
	Registerer prometheus.Registerer
	Logger     *slog.Logger
	Review     listen.ReviewToken                   // for those that ask Kubernetes; nil where there is none
	Refused    func(*http.Request, *listen.Refusal) // hears of what the web listener has not let in; may be nil
}

// OpenListeners opens what the configuration names. Health needs no authentication: kubelets that probe it have none.
func OpenListeners(receivers config.Receivers, web config.Web, o ListenOptions) (*Listeners, error) {
	l := &Listeners{}
	for _, one := range []struct {
		name   string
		config *listen.Config
		into   **listen.Listener
	}{{"receivers.http", receivers.HTTP, &l.http}, {"receivers.grpc", receivers.GRPC, &l.grpc}, {"web", web.Listen, &l.web}} {
		if one.config == nil {
			continue
		}
		options := listen.Options{
			Name: one.name, Registerer: o.Registerer, Review: o.Review, Reloaded: reloaded(o.Logger, one.name),
			ErrorLog: slog.NewLogLogger(o.Logger.With("listener", one.name).Handler(), slog.LevelDebug),
		}
		if one.config == web.Listen {
			options.Open, options.Refused = []string{HealthyPath, ReadyPath}, o.Refused
		}
		ln, err := listen.Open(*one.config, options)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
		*one.into = ln
	}
	return l, nil
}

func reloaded(logger *slog.Logger, name string) func(string, error) {
	return func(file string, err error) {
		if err != nil {
			logger.Error("a file of a listener cannot be used: what it said before stays", "listener", name, "file", file, "err", err)
			return
		}
		logger.Info("a file of a listener has changed", "listener", name, "file", file)
	}
}

// Close closes every listener.
func (l *Listeners) Close() {
	for _, ln := range []*listen.Listener{l.http, l.grpc, l.web} {
		if ln != nil {
			ln.Close()
		}
	}
}

// HTTPAddr is where pushes over HTTP are taken, "" if nowhere.
func (l *Listeners) HTTPAddr() string { return address(l.http) }

// GRPCAddr is where pushes over gRPC are taken, "" if nowhere.
func (l *Listeners) GRPCAddr() string { return address(l.grpc) }

// WebAddr is where metrics and health are, "" if nowhere.
func (l *Listeners) WebAddr() string { return address(l.web) }

func address(ln *listen.Listener) string {
	if ln == nil {
		return ""
	}
	return ln.Addr().String()
}

// webStop is how long web requests in progress have to end: those that follow never would.
const webStop = time.Second

// ServeWeb serves handler on the web listener.
func (l *Listeners) ServeWeb(stage *Stage, handler http.Handler) {
	if l.web != nil {
		stage.Go("web", func(ctx context.Context) error {
			return l.web.Serve(ctx, handler, listen.Timeouts{Shutdown: webStop})
		})
	}
}

// ServeReceivers serves OTLP and remote-write, in front of next. observed is that of [otlp.Options].
func (l *Listeners) ServeReceivers(stage *Stage, next telemetry.Appender, limits config.Limits, observed func() *telemetry.Attributes, registry prometheus.Registerer) {
	if l.http == nil && l.grpc == nil {
		return
	}
	receiver := otlp.New(next, otlp.Options{MaxBodyBytes: int64(limits.MaxBodyBytes), Observed: observed, Registerer: registry})
	if l.http != nil {
		mux := http.NewServeMux()
		mux.Handle("/", receiver.Handler())
		mux.Handle("/api/v1/write", remotewrite.New(next, remotewrite.Options{MaxBodyBytes: int64(limits.MaxBodyBytes), Registerer: registry}))
		stage.Go("receivers.http", func(ctx context.Context) error { return l.http.Serve(ctx, mux, listen.Timeouts{}) })
	}
	if l.grpc != nil {
		ln, security := secureGRPC(l.grpc)
		server := grpc.NewServer(append(receiver.ServerOptions(), security...)...)
		receiver.Register(server)
		stage.Go("receivers.grpc", func(ctx context.Context) error { return serveGRPC(ctx, server, ln) })
	}
}

// syncWindow lets requests share a sync. A client's request waits no longer for its answer than it takes on the way.
const syncWindow = 2 * time.Millisecond

// QueueOptions are a verb's queue, of the configuration's size, in dir.
func QueueOptions(dir string, limits config.QueueLimit, registry prometheus.Registerer, logger *slog.Logger) pipeline.Options {
	max := map[telemetry.Signal]int64{}
	for _, signal := range telemetry.Signals {
		max[signal] = int64(limits.MaxBytes)
	}
	return pipeline.Options{Dir: dir, MaxBytes: max, SyncWindow: syncWindow, Registerer: registry, Logger: logger}
}
