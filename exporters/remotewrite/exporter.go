package remotewrite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/braidhq/braid/exporters/post"
	"github.com/braidhq/braid/telemetry"
	wire "github.com/braidhq/braid/wire/remotewrite"
)

// Options of an Exporter; every field may be left zero.
type Options struct {
	Registerer prometheus.Registerer
	// RetryUnauthorized sends again what is answered 401 or 403, in place of giving it up: for a peer that lets nobody else
	// in, with credentials that expire and are renewed.
	RetryUnauthorized bool
}

// An Exporter sends to one endpoint. It is safe for concurrent use.
type Exporter struct {
	url, shown string // shown: without a password
	client     *http.Client
	timeout    time.Duration
	headers    http.Header
	relabel    []*relabel.Config
	wanted     telemetry.Encoding
	retry401   bool
	only1      atomic.Bool // the endpoint has shown that it does not speak 2.0
	metrics    *metrics
	converters sync.Pool // *converter
}

// New returns an exporter for one remote_write section, as Prometheus' config package reads it. It does not connect.
func New(cfg *config.RemoteWriteConfig, o Options) (*Exporter, error) {
	if cfg.URL == nil || cfg.URL.URL == nil {
		return nil, errors.New("cannot use remote_write: it has no url")
	}
	shown := cfg.URL.Redacted()
	if err := supported(cfg); err != nil {
		return nil, fmt.Errorf("cannot use remote_write to %s: %w", shown, err)
	}
	if err := cfg.Validate(model.UTF8Validation); err != nil {
		return nil, fmt.Errorf("cannot use remote_write to %s: %w", shown, err)
	}
	client, err := config_util.NewClientFromConfig(cfg.HTTPClientConfig, "braid_remote_write")
	if err != nil {
		return nil, fmt.Errorf("cannot use remote_write to %s: %w", shown, err)
	}
	e := &Exporter{
		url: cfg.URL.String(), shown: shown, client: client, timeout: time.Duration(cfg.RemoteTimeout),
		headers: http.Header{}, relabel: cfg.WriteRelabelConfigs, wanted: telemetry.RemoteWrite1, retry401: o.RetryUnauthorized,
		metrics: newMetrics(o.Registerer, cfg.Name, shown),
	}
	if cfg.ProtobufMessage == messageV2 {
		e.wanted = telemetry.RemoteWrite2
	}
	if e.timeout == 0 {
		e.timeout = 30 * time.Second
	}
	e.headers.Set("User-Agent", "braid")
	for name, value := range cfg.Headers {
		e.headers.Set(name, value)
	}
	e.headers.Set("Content-Encoding", "snappy")
	e.converters.New = func() any { return &converter{decoder: wire.NewDecoder()} }
	return e, nil
}

func supported(cfg *config.RemoteWriteConfig) error {
	var missing []string
	for name, used := range map[string]bool{
		"sigv4":           cfg.SigV4Config != nil,
		"azuread":         cfg.AzureADConfig != nil,
		"google_iam":      cfg.GoogleIAMConfig != nil,
		"round_robin_dns": cfg.RoundRobinDNS,
	} {
		if used {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("braid does not have %s", strings.Join(missing, ", "))
	}
	return nil
}

// Close closes the connections that are idle.
func (e *Exporter) Close() { e.client.CloseIdleConnections() }

// Append sends each frame in one request. With a Permanent error every other frame was delivered.
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

// sendFrame sends f in the version wanted, and at once in 1.0 if the endpoint turns out to know no other.
func (e *Exporter) sendFrame(ctx context.Context, f *telemetry.Frame) error {
	version := e.wanted
	if e.only1.Load() {
		version = telemetry.RemoteWrite1
	}
	err := e.sendAs(ctx, f, version)
	if errors.Is(err, errNot2) {
		e.only1.Store(true)
		err = e.sendAs(ctx, f, telemetry.RemoteWrite1)
	}
	if err != nil {
		return fmt.Errorf("cannot send samples to %s: %w", e.shown, err)
	}
	e.metrics.newest(f.ReceivedUnixNano)
	return nil
}

// A message is a request as it goes out.
type message struct {
	version telemetry.Encoding
	body    []byte // snappy
	count   func() wire.Written
}

func (e *Exporter) sendAs(ctx context.Context, f *telemetry.Frame, version telemetry.Encoding) error {
	if f.Signal != telemetry.Samples || (f.Encoding != telemetry.RemoteWrite1 && f.Encoding != telemetry.RemoteWrite2) {
		return telemetry.Permanent(fmt.Errorf("a frame of %s in encoding %d is not remote-write", f.Signal, f.Encoding))
	}
	c := e.converters.Get().(*converter)
	defer e.converters.Put(c)
	if f.Encoding == version && f.Compression == telemetry.Snappy && len(e.relabel) == 0 {
		return e.post(ctx, f, message{version, f.Body, func() wire.Written { return c.count(f) }})
	}
	body, written, err := c.convert(f, version, e.relabel)
	if err != nil {
		return telemetry.Permanent(err)
	}
	if written == (wire.Written{}) {
		return nil // nothing is left to send
	}
	return e.post(ctx, f, message{version, body, func() wire.Written { return written }})
}

func (e *Exporter) post(ctx context.Context, f *telemetry.Frame, m message) error {
	header := e.headers.Clone()
	header.Set("Content-Type", contentTypes[m.version])
	header.Set("X-Prometheus-Remote-Write-Version", versions[m.version])
	post.Mark(header, f)
	limited, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	begin := time.Now()
	answer, err := post.Do(limited, e.client, post.Request{URL: e.url, Header: header, Body: m.body})
	e.metrics.duration.Observe(time.Since(begin).Seconds())
	if err != nil {
		e.metrics.failed(err, m.count())
		return err
	}
	written, err := verdict(answer, m, e.retry401)
	if err != nil {
		if !errors.Is(err, errNot2) {
			e.metrics.failed(err, m.count())
		}
		return err
	}
	e.metrics.sent(written, len(m.body))
	if answer.Status/100 == 4 {
		e.metrics.refused(m.count(), written)
	}
	return nil
}
