package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/braidhq/braid/demo/ledger"
	"go.opentelemetry.io/otel"
)

// How long a service that is told to stop waits for requests under way, and then for the agent to take its last spans.
const (
	drainTimeout = 10 * time.Second
	flushTimeout = 60 * time.Second
)

// Run is the main of the service called name: it serves until ctx ends, then answers what is under way, exports the
// last spans and closes its ledger. Whatever it says on stdout and stderr stands in the ledger.
func Run(ctx context.Context, t *Topology, name string, stdout, stderr io.Writer) error {
	self, err := t.Find(name)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", self.Address)
	if err != nil {
		return fmt.Errorf("cannot serve %s: %w", name, err)
	}
	return run(ctx, t, self, ln, stdout, stderr)
}

// run takes ln over.
func run(ctx context.Context, t *Topology, self Service, ln net.Listener, stdout, stderr io.Writer) (err error) {
	name := self.Name
	defer ln.Close()
	routes := routesOf(name)
	if routes == nil {
		return fmt.Errorf("the shop has no service %q", name)
	}
	book, err := ledger.Create(self.Ledger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, book.Close()) }()

	s := &service{Service: self, topology: t, metrics: newMetrics(), mux: http.NewServeMux()}
	s.err = &output{stream: "stderr", w: stderr, book: book}
	if name == "payment" {
		s.log = newLogger(s.err, logfmtFormat)
	} else {
		s.log = newLogger(&output{stream: "stdout", w: stdout, book: book}, jsonFormat)
	}
	// Whatever else speaks in this process speaks through the ledger too.
	slog.SetDefault(s.log)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { s.log.Error("OpenTelemetry", "err", err) }))

	s.tracing, err = newTracing(ctx, t, self, book, s.log)
	if err != nil {
		return err
	}
	s.tracer = s.tracing.Tracer("shop/" + name)
	s.client = newClient(s.tracing)
	routes(s)
	s.mux.Handle("GET /metrics", s.metrics.exposition(book))
	s.mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return s.serve(ctx, ln, book)
}

func (s *service) serve(ctx context.Context, ln net.Listener, book *ledger.Writer) error {
	server := &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(slogWriter{s.log}, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	s.log.Info("listening", "service", s.Name, "address", s.Address, "pod", s.Pod)

	flush := time.NewTicker(time.Second)
	defer flush.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case err := <-failed:
			return fmt.Errorf("cannot serve %s: %w", s.Name, err)
		case <-flush.C:
			book.Flush()
		}
	}
	s.log.Info("stopping")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := server.Shutdown(drain)
	s.client.CloseIdleConnections()
	flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	return errors.Join(err, s.tracing.Shutdown(flushing))
}

// slogWriter hands the HTTP server's complaints on, one a call.
type slogWriter struct{ log *slog.Logger }

func (w slogWriter) Write(p []byte) (int, error) {
	w.log.Warn("HTTP server", "err", string(p))
	return len(p), nil
}
