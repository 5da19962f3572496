package listen

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func serve(t *testing.T, h http.HandlerFunc, limits Timeouts) (url string, stop context.CancelFunc, done <-chan error) {
	t.Helper()
	ln, err := Open(Config{Address: "127.0.0.1:0"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- ln.Serve(ctx, h, limits) }()
	return "http://" + ln.Addr().String(), cancel, ended
}

func TestShutdownWaitsForRequests(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	url, stop, done := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request was cancelled by an orderly shutdown")
		}
		io.WriteString(w, "done")
	}, Timeouts{Shutdown: time.Minute})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer := make(chan string, 1)
	go func() {
		resp, err := client.Get(url)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-entered
	stop()
	select {
	case err := <-done:
		t.Fatalf("ended before its request: %v", err)
	default:
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Fatalf("the client got %q", got)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	entered := make(chan struct{})
	url, stop, done := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done() // a live tail that would never end by itself
	}, Timeouts{Shutdown: time.Millisecond})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer := make(chan error, 1)
	go func() {
		resp, err := client.Get(url)
		if err == nil {
			resp.Body.Close()
		}
		answer <- err
	}()
	<-entered
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	_ = <-answer // a cut-off request has some answer
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	url, stop, done := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("served half a request") },
		Timeouts{Header: time.Millisecond})
	conn, err := net.Dial("tcp", url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatalf("the server did not end the connection: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	ln, err := Open(Config{Address: "127.0.0.1:0"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := ln.Serve(context.Background(), http.NotFoundHandler(), Timeouts{}); err == nil {
		t.Fatal("served on a closed listener")
	}
}
