package listen

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// ErrNotLoopback says that an address can be reached from other machines and that nobody allowed it.
var ErrNotLoopback = errors.New("not a loopback address")

// Open listens on c.Address. It refuses any address but loopback unless c.Insecure is set.
//
// The host is resolved once and the answer is what gets both checked and bound, so a name cannot resolve to loopback
// for the check and to something else for the listener.
func Open(c Config) (net.Listener, error) {
	addr, err := net.ResolveTCPAddr("tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", c.Address, err)
	}
	if !c.Insecure && !addr.IP.IsLoopback() {
		return nil, fmt.Errorf("cannot listen on %q: it is %w and whoever reaches it needs no password; "+
			"use 127.0.0.1 or [::1], or set \"insecure: true\" beside \"address\" to allow it", c.Address, ErrNotLoopback)
	}
	ln, err := net.ListenTCP("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("cannot listen on %q: another process uses the port: %w", c.Address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", c.Address, err)
	}
	if c.MaxConnections == 0 {
		return ln, nil
	}
	return &limited{Listener: ln, free: make(chan struct{}, c.MaxConnections), closed: make(chan struct{})}, nil
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
