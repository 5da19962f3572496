package listen

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpenRefusesWhatOthersCanReach(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0", "[::ffff:192.0.2.1]:0"} {
		ln, err := Open(Config{Address: address}, Options{})
		if err == nil {
			ln.Close()
			t.Fatalf("%s: opened %s", address, ln.Addr())
		}
		if !errors.Is(err, ErrNotLoopback) || !strings.Contains(err.Error(), "insecure: true") || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: error does not help: %v", address, err)
		}
	}
}

func TestOpenLoopback(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "127.1.2.3:0", "localhost:0"} {
		ln, err := Open(Config{Address: address}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !ln.Addr().(*net.TCPAddr).IP.IsLoopback() {
			t.Errorf("%s opened %s", address, ln.Addr())
		}
		ln.Close()
	}
}

func TestOpenInsecure(t *testing.T) {
	ln, err := Open(Config{Address: ":0", Insecure: true}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if !ln.Addr().(*net.TCPAddr).IP.IsUnspecified() {
		t.Errorf("listens on %s", ln.Addr())
	}
}

func TestOpenErrors(t *testing.T) {
	first, err := Open(Config{Address: "127.0.0.1:0"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = Open(Config{Address: first.Addr().String()}, Options{})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "another process uses the port") {
		t.Errorf("port in use: %v", err)
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.1:99999", "no such host:1", ""} {
		if ln, err := Open(Config{Address: address}, Options{}); err == nil {
			ln.Close()
			t.Errorf("%q: opened %s", address, ln.Addr())
		} else if !strings.Contains(err.Error(), "cannot listen on") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	ln, err := Open(Config{Address: "127.0.0.1:0", MaxConnections: 1}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.plain.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	a, b := dial(), dial()
	defer a.Close()
	defer b.Close()
	one := <-accepted
	if l := ln.plain.(*limited); len(l.free) != 1 {
		t.Fatalf("%d connections are open", len(l.free))
	}
	select {
	case <-accepted:
		t.Fatal("a second connection was accepted beside the first")
	default:
	}
	one.Close()
	one.Close() // twice must not free two places
	select {
	case two := <-accepted:
		two.Close()
	case <-time.After(30 * time.Second):
		t.Fatal("the second connection was never accepted")
	}
	if _, err := io.ReadAll(b); err != nil {
		t.Fatal(err)
	}
	ln.Close()
	<-done
}

func TestCloseEndsAnAcceptThatWaitsForAPlace(t *testing.T) {
	ln, err := Open(Config{Address: "127.0.0.1:0", MaxConnections: 1}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	held, err := ln.plain.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := ln.plain.Accept()
		ended <- err
	}()
	ln.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
}
