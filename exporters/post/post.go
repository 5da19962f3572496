package post

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
)

// A Request is one POST.
type Request struct {
	URL    string
	Header http.Header // owned by the request
	Body   []byte      // lent until Do returns
	Sent   func()      // if set, called when the whole request is written; the answer is not read yet
}

// An Answer is what the peer said.
type Answer struct {
	Status     int
	Header     http.Header
	Body       []byte        // its beginning
	RetryAfter time.Duration // 0: it did not say
}

const (
	maxAnswerBytes = 64 << 10
	// A longer rest of an answer is not worth reading for the sake of the connection.
	maxDrainBytes = 256 << 10
)

// Do sends r and reads the answer. Its error means that there is none: the peer may have got the request or not.
func Do(ctx context.Context, client *http.Client, r Request) (Answer, error) {
	if r.Sent != nil {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			WroteRequest: func(info httptrace.WroteRequestInfo) {
				if info.Err == nil {
					r.Sent()
				}
			},
		})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, http.NoBody)
	if err != nil {
		return Answer{}, fmt.Errorf("cannot make the request: %w", err)
	}
	req.Header = r.Header
	if len(r.Body) > 0 {
		l := &lease{data: r.Body}
		defer l.end()
		req.ContentLength = int64(len(r.Body))
		req.Body = l.reader()
		req.GetBody = func() (io.ReadCloser, error) { return l.reader(), nil }
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("cannot send: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode, Header: resp.Header, RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())}
	if a.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes)); err != nil {
		return Answer{}, fmt.Errorf("cannot read the answer: %w", err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrainBytes)
	return a, nil
}

// withoutURL returns what net/http says without the URL that it was said of: that may hold a secret, and callers name the peer.
func withoutURL(err error) error {
	if u := new(url.Error); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// parseRetryAfter reads both forms of RFC 9110, section 10.2.3. What it cannot read, and what has passed, is 0.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

const maxExcerptBytes = 512

// Err describes an answer that is no success, with message or else the beginning of its body.
func (a Answer) Err(message string) error {
	if message == "" && utf8.Valid(a.Body) {
		message = string(bytes.TrimSpace(a.Body))
	}
	if len(message) > maxExcerptBytes {
		message = message[:maxExcerptBytes] + "…"
	}
	if message == "" {
		return fmt.Errorf("the answer is %d %s", a.Status, http.StatusText(a.Status))
	}
	return fmt.Errorf("the answer is %d %s: %q", a.Status, http.StatusText(a.Status), message)
}

// Mark writes the headers that tell a braid, and peers with tenants, where a frame comes from. A tenant that header
// already has stays: somebody configured it.
func Mark(header http.Header, f *telemetry.Frame) {
	if f.Tenant != "" && header.Get("X-Scope-OrgID") == "" {
		header.Set("X-Scope-OrgID", f.Tenant)
	}
	if f.Origin != (telemetry.QueueID{}) {
		header.Set("X-Braid-Queue-Id", hex.EncodeToString(f.Origin[:]))
		header.Set("X-Braid-Sequence", strconv.FormatUint(f.Sequence, 10))
	}
}
