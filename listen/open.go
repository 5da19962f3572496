package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrNotLoopback says that an address can be reached from other machines and that nobody allowed it.
var ErrNotLoopback = errors.New("not a loopback address")

// Options of [Open] that are not the user's to say; every field may be left zero.
type Options struct {
	Name       string                // of the listener, in metrics
	Registerer prometheus.Registerer // nil: unregistered
	// Review is needed for Auth.Kubernetes.
	Review ReviewToken
	// Open are paths that need no authentication.
	Open []string
	// Reloaded hears of every new state of a certificate or token file: whether it was taken (nil) or passed by.
	Reloaded func(file string, err error)
	// Refused hears of every HTTP request that was not let in.
	Refused func(*http.Request, *Refusal)
	// ErrorLog is net/http's, which speaks of failed handshakes.
	ErrorLog *log.Logger

	now func() time.Time // in tests
}

// A Listener is an open port with the TLS and the authentication of its configuration.
type Listener struct {
	plain   net.Listener
	config  Config
	options Options
	metrics *metrics
	now     func() time.Time
	tls     *serverTLS         // nil: in the clear
	tokens  *watched[tokenSet] // nil: no static tokens
}

// Open listens on c.Address. Unless c.Insecure is set it refuses any address but loopback without TLS and
// authentication. Certificate and token files must be there and make sense.
//
// The host is resolved once and the answer is what gets both checked and bound, so a name cannot resolve to loopback
// for the check and to something else for the listener.
func Open(c Config, o Options) (*Listener, error) {
	l := &Listener{config: c, options: o, metrics: newMetrics(&c, &o), now: o.now}
	if l.now == nil {
		l.now = time.Now
	}
	if c.Auth != nil && c.Auth.BearerTokenFile == "" && c.Auth.Kubernetes == nil && !c.certificates() {
		return nil, fmt.Errorf("cannot listen on %q: auth names no method", c.Address)
	}
	if c.Auth != nil && c.Auth.Kubernetes != nil && o.Review == nil {
		return nil, fmt.Errorf("cannot listen on %q: nobody reviews Kubernetes tokens here: use bearer_token_file or client certificates", c.Address)
	}
	addr, err := net.ResolveTCPAddr("tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", c.Address, err)
	}
	if !addr.IP.IsLoopback() {
		if err := c.exposed(); err != nil {
			return nil, err
		}
	}
	if c.TLS != nil {
		if err := l.openTLS(c.TLS); err != nil {
			return nil, fmt.Errorf("cannot listen on %q: %w", c.Address, err)
		}
	}
	if c.Auth != nil && c.Auth.BearerTokenFile != "" {
		if err := l.openTokens(c.Auth.BearerTokenFile); err != nil {
			return nil, fmt.Errorf("cannot listen on %q: %w", c.Address, err)
		}
	}
	ln, err := net.ListenTCP("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("cannot listen on %q: another process uses the port: %w", c.Address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", c.Address, err)
	}
	l.plain = ln
	if c.MaxConnections > 0 {
		l.plain = &limited{Listener: ln, free: make(chan struct{}, c.MaxConnections), closed: make(chan struct{})}
	}
	return l, nil
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.plain.Addr() }

// Close closes the port; connections stay.
func (l *Listener) Close() error { return l.plain.Close() }

// Plain is for a server of another protocol than HTTP/1 and 2. It must do the handshake of config itself, if there is
// one, and call Authenticate for every request.
func (l *Listener) Plain() (ln net.Listener, config *tls.Config) {
	if l.tls == nil {
		return l.plain, nil
	}
	return l.plain, l.tls.config()
}

// limited accepts a connection only while fewer than cap(free) are open. Refusing the others at once was rejected:
// clients take a reset for an outage, and a wait for what it is.
type limited struct {
	net.Listener
	free   chan struct{} // one element per open connection
	closed chan struct{}
	once   sync.Once
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{Conn: conn, free: l.free}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	once sync.Once
	free <-chan struct{}
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.free })
	return err
}
