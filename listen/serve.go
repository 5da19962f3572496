package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Timeouts bound how long a connection may keep a server waiting; a zero field has the default named with it.
type Timeouts struct {
	Header   time.Duration // for a request's header: 10 s
	Idle     time.Duration // between two requests of a connection: 2 min
	Shutdown time.Duration // for the requests in flight when the server is told to end: 10 s
}

func (t Timeouts) withDefaults() Timeouts {
	if t.Header == 0 {
		t.Header = 10 * time.Second
	}
	if t.Idle == 0 {
		t.Idle = 2 * time.Minute
	}
	if t.Shutdown == 0 {
		t.Shutdown = 10 * time.Second
	}
	return t
}

// maxHeaderBytes is far above what OTLP and remote-write clients send, and far below net/http's 1 MiB.
const maxHeaderBytes = 64 << 10

// Serve serves handler by HTTP, to those whom the listener lets in, until ctx ends; then it stops accepting and waits up
// to t.Shutdown for the requests in flight; those that are still there are cut off. It returns nil after an orderly end,
// cut-offs included.
//
// There is no limit on reading a body or writing an answer: a live tail writes for hours. Handlers that read bodies
// set their own deadline.
func (l *Listener) Serve(ctx context.Context, handler http.Handler, t Timeouts) error {
	t = t.withDefaults()
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{
		Handler:           l.authenticated(handler),
		ReadHeaderTimeout: t.Header,
		IdleTimeout:       t.Idle,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          l.options.ErrorLog,
	}
	ln, config := l.Plain()
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("cannot serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.Shutdown)
	defer cancel()
	if err := srv.Shutdown(wait); err != nil {
		cut()
		if err := srv.Close(); err != nil {
			return fmt.Errorf("cannot close %s: %w", ln.Addr(), err)
		}
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve on %s: %w", ln.Addr(), err)
	}
	return nil
}
