package post

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDo(t *testing.T) {
	body := bytes.Repeat([]byte("braid "), 100_000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(got, body) || r.ContentLength != int64(len(body)) || r.Header.Get("X-A") != "1" {
			t.Errorf("%d bytes of %d, %v", len(got), r.ContentLength, err)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(429)
		io.WriteString(w, strings.Repeat("x", maxAnswerBytes+1000))
	}))
	defer srv.Close()
	var sent atomic.Bool
	a, err := Do(context.Background(), srv.Client(), Request{
		URL: srv.URL, Header: http.Header{"X-A": {"1"}}, Body: body, Sent: func() { sent.Store(true) },
	})
	if err != nil || a.Status != 429 || a.RetryAfter != 7*time.Second || len(a.Body) != maxAnswerBytes || !sent.Load() {
		t.Fatalf("%d %s, %d bytes, sent %v, %v", a.Status, a.RetryAfter, len(a.Body), sent.Load(), err)
	}
	if err := a.Err(""); !strings.Contains(err.Error(), "429 Too Many Requests") || len(err.Error()) > 1000 {
		t.Error(err)
	}
	srv.Close()
	if _, err := Do(context.Background(), srv.Client(), Request{URL: srv.URL, Body: body}); err == nil {
		t.Error("sent to nobody")
	}
}

// slow is a transport that goes on reading the body after it has returned.
type slow struct {
	body chan io.ReadCloser
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.body <- r.Body
	return nil, errors.New("the connection broke")
}

func TestABodyIsOnlyLent(t *testing.T) {
	s := slow{make(chan io.ReadCloser, 1)}
	body := []byte("lent")
	if _, err := Do(context.Background(), &http.Client{Transport: s}, Request{URL: "http://127.0.0.1:1", Body: body}); err == nil {
		t.Fatal("no error")
	}
	copy(body, "gone")
	if got, err := io.ReadAll(<-s.body); !errors.Is(err, io.ErrClosedPipe) || len(got) != 0 {
		t.Fatalf("read %q after the return, %v", got, err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"3":                             3 * time.Second,
		"-3":                            0,
		"soon":                          0,
		"99999999999999":                0,
		"Fri, 20 Nov 2026 12:00:30 GMT": 30 * time.Second,
		"Fri, 20 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestMark(t *testing.T) {
	h := http.Header{}
	Mark(h, &telemetry.Frame{})
	if len(h) != 0 {
		t.Fatal(h)
	}
	f := telemetry.Frame{Tenant: "a", Origin: telemetry.QueueID{7: 0xff}, Sequence: 77}
	Mark(h, &f)
	if h.Get("X-Scope-OrgID") != "a" || h.Get("X-Braid-Queue-Id") != "00000000000000ff" || h.Get("X-Braid-Sequence") != "77" {
		t.Fatal(h)
	}
	f.Tenant = "b"
	if Mark(h, &f); h.Get("X-Scope-OrgID") != "a" {
		t.Fatal("a configured tenant was overwritten")
	}
}

func TestAFailureDoesNotShowTheURL(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/write?token=secret", "/secret"} {
		_, err := Do(t.Context(), client, Request{URL: gone.URL + path})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
