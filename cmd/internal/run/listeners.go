package run

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
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
	http, grpc, web net.Listener // nil: off
}

// OpenListeners opens what the configuration names.
func OpenListeners(receivers config.Receivers, web config.Web) (*Listeners, error) {
	l := &Listeners{}
	for _, one := range []struct {
		config *listen.Config
		into   *net.Listener
	}{{receivers.HTTP, &l.http}, {receivers.GRPC, &l.grpc}, {web.Listen, &l.web}} {
		if one.config == nil {
			continue
		}
		ln, err := listen.Open(*one.config)
		if err != nil {
			l.Close()
			return nil, err
		}
		*one.into = ln
	}
	return l, nil
}

// Close closes every listener.
func (l *Listeners) Close() {
	for _, ln := range []io.Closer{l.http, l.grpc, l.web} {
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

func address(ln net.Listener) string {
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
			return listen.ServeHTTP(ctx, l.web, handler, listen.Timeouts{Shutdown: webStop})
		})
	}
}

// ServeReceivers serves OTLP and remote-write, in front of next.
func (l *Listeners) ServeReceivers(stage *Stage, next telemetry.Appender, limits config.Limits, registry prometheus.Registerer) {
	if l.http == nil && l.grpc == nil {
		return
	}
	receiver := otlp.New(next, otlp.Options{MaxBodyBytes: int64(limits.MaxBodyBytes), Registerer: registry})
	if l.http != nil {
		mux := http.NewServeMux()
		mux.Handle("/", receiver.Handler())
		mux.Handle("/api/v1/write", remotewrite.New(next, remotewrite.Options{MaxBodyBytes: int64(limits.MaxBodyBytes), Registerer: registry}))
		stage.Go("receivers.http", func(ctx context.Context) error { return listen.ServeHTTP(ctx, l.http, mux, listen.Timeouts{}) })
	}
	if l.grpc != nil {
		server := grpc.NewServer(receiver.ServerOptions()...)
		receiver.Register(server)
		stage.Go("receivers.grpc", func(ctx context.Context) error { return serveGRPC(ctx, server, l.grpc) })
	}
}

// grpcStop is how long calls in progress have to end.
const grpcStop = 10 * time.Second

func serveGRPC(ctx context.Context, server *grpc.Server, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		hard := time.AfterFunc(grpcStop, server.Stop) // one call that hangs must not hold up the rest
		defer hard.Stop()
		server.GracefulStop()
	})
	defer stop()
	if err := server.Serve(ln); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// QueueOptions are a verb's queue, of the configuration's size, in dir.
func QueueOptions(dir string, limits config.QueueLimit, registry prometheus.Registerer, logger *slog.Logger) pipeline.Options {
	max := map[telemetry.Signal]int64{}
	for _, signal := range telemetry.Signals {
		max[signal] = int64(limits.MaxBytes)
	}
	return pipeline.Options{Dir: dir, MaxBytes: max, Registerer: registry, Logger: logger}
}
