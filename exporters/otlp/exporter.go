package otlp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/exporters/post"
	"github.com/braidhq/braid/telemetry"
)

// Options of an Exporter.
type Options struct {
	// URL is the base of /v1/logs and /v1/traces.
	URL string
	// Client sends; nil is one of its own, which keeps connections for reuse.
	Client *http.Client
	// Compression of batches; frames keep theirs. The zero value sends them as they are.
	Compression telemetry.Compression
	// Headers are sent with every request.
	Headers map[string]string
	// RetryUnauthorized sends again what is answered 401 or 403, in place of giving it up: for a peer that lets nobody else
	// in, with credentials that expire and are renewed.
	RetryUnauthorized bool
	// Timeout of one request, its answer included: 30 s.
	Timeout    time.Duration
	Registerer prometheus.Registerer
}

// An Exporter sends to one endpoint. It is safe for concurrent use.
type Exporter struct {
	endpoints   map[telemetry.Signal]string
	client      *http.Client
	compression telemetry.Compression
	headers     http.Header
	timeout     time.Duration
	retry401    bool
	metrics     *metrics
	buffers     sync.Pool // *buffers
}

// New returns an exporter. It does not connect.
func New(o Options) (*Exporter, error) {
	base, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("cannot send OTLP to %q: %w", o.URL, err)
	}
	if (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("cannot send OTLP to %q: the URL is not http://host or https://host", o.URL)
	}
	if o.Compression == telemetry.Snappy {
		return nil, errors.New("cannot send OTLP in snappy: use gzip, zstd or identity")
	}
	e := &Exporter{
		endpoints: map[telemetry.Signal]string{
			telemetry.Logs:  base.JoinPath("v1/logs").String(),
			telemetry.Spans: base.JoinPath("v1/traces").String(),
		},
		client: o.Client, compression: o.Compression, headers: http.Header{}, timeout: o.Timeout, retry401: o.RetryUnauthorized,
		metrics: newMetrics(o.Registerer),
	}
	if e.client == nil {
		e.client = newClient()
	}
	if e.timeout == 0 {
		e.timeout = 30 * time.Second
	}
	e.headers.Set("User-Agent", "braid")
	for name, value := range o.Headers {
		e.headers.Set(name, value)
	}
	e.headers.Set("Content-Type", "application/x-protobuf")
	e.buffers.New = func() any { return new(buffers) }
	return e, nil
}

// newClient follows no redirects: an answer 3xx would make a GET of a POST.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 16
	transport.DisableCompression = true
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close closes the connections that are idle.
func (e *Exporter) Close() { e.client.CloseIdleConnections() }

// Append sends each frame in one request, as it came. With a Permanent error every other frame was delivered.
func (e *Exporter) Append(ctx context.Context, frames []telemetry.Frame) error {
	var refused error
	for i := range frames {
		err := e.sendFrame(ctx, &frames[i])
		if err != nil && !telemetry.IsPermanent(err) {
			return err
		}
		if refused == nil {
			refused = err
		}
	}
	return refused
}

func (e *Exporter) sendFrame(ctx context.Context, f *telemetry.Frame) error {
	if f.Encoding != telemetry.OTLP || f.Compression == telemetry.Snappy {
		return telemetry.Permanent(fmt.Errorf("cannot send %s by OTLP: the frame has encoding %d, compression %s", f.Signal, f.Encoding, f.Compression))
	}
	return e.send(ctx, f)
}

// send posts f.Body, already encoded.
func (e *Exporter) send(ctx context.Context, f *telemetry.Frame) error {
	endpoint, ok := e.endpoints[f.Signal]
	if !ok {
		return telemetry.Permanent(fmt.Errorf("cannot send %s by OTLP", f.Signal))
	}
	header := e.headers.Clone()
	if f.Compression != telemetry.Identity {
		header.Set("Content-Encoding", f.Compression.String())
	}
	post.Mark(header, f)
	limited, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	begin := time.Now()
	answer, err := post.Do(limited, e.client, post.Request{
		URL: endpoint, Header: header, Body: f.Body, Sent: func() { disk.Point("otlp.export.sent") },
	})
	if err != nil {
		e.metrics.failed(f.Signal, time.Since(begin))
		return fmt.Errorf("cannot send %s to %s: %w", f.Signal, redact(endpoint), err)
	}
	e.metrics.answered(f.Signal, answer.Status, len(f.Body), time.Since(begin))
	rejected, err := verdict(answer, e.retry401)
	if err != nil {
		return fmt.Errorf("cannot send %s to %s: %w", f.Signal, redact(endpoint), err)
	}
	e.metrics.rejected.WithLabelValues(f.Signal.String()).Add(float64(rejected))
	return nil
}

// redact hides a password in a URL.
func redact(endpoint string) string {
	if !strings.Contains(endpoint, "@") {
		return endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "(a URL that does not parse)"
	}
	return u.Redacted()
}
