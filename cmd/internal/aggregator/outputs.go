package aggregator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonconfig "github.com/prometheus/common/config"

	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/correlate"
	"github.com/braidhq/braid/exporters/elasticsearch"
	"github.com/braidhq/braid/exporters/otlp"
	"github.com/braidhq/braid/exporters/remotewrite"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/store"
	"github.com/braidhq/braid/telemetry"
)

// An output is one exporter: a sink of batches for some signals, or an appender of frames.
type output struct {
	name     string
	optional bool
	signals  []telemetry.Signal
	sink     telemetry.Sink
	frames   telemetry.Appender
	only     *telemetry.Attributes // of spans, that sink looks at
	// exemplars is what becomes of those of its samples: verified, passthrough or off.
	exemplars string

	cfg      config.Exporter
	registry *prometheus.Registry
	store    *store.Store // if it is one
	reader   reader       // nil: it cannot be read
}

// A reader answers the query API.
type reader interface {
	query.Logs
	query.Traces
	query.TraceSearch
}

// outputs are the aggregator's ways out, and what of them can be read.
type outputs struct {
	list  []output
	lines map[string]*pipeline.Cursor // of exporters of logs, by name
}

// open returns the outputs of cfg. Those that are as they were are taken from before, which may be nil.
func (a *aggregator) open(cfg *config.Aggregator, before *outputs) (*outputs, error) {
	o := &outputs{}
	for _, e := range cfg.Exporters {
		if old := before.find(&e); old != nil {
			o.list = append(o.list, *old)
			continue
		}
		out := output{name: e.Name, optional: e.Optional, exemplars: e.Exemplars, cfg: e, registry: a.registries.Add()}
		var err error
		switch {
		case e.Store != nil:
			err = out.openStore(cfg, a.logger)
		case e.Elasticsearch != nil:
			err = out.openElasticsearch(cfg, a.logger)
		case e.OTLP != nil:
			err = out.openOTLP()
		default:
			err = out.openRemoteWrite()
		}
		if err != nil {
			a.registries.Remove(out.registry)
			return nil, errors.Join(fmt.Errorf("exporter %s: %w", e.Name, err), a.closeBut(o, before))
		}
		o.list = append(o.list, out)
	}
	return o, nil
}

// find returns the output of e, if there is one that was made for the same words.
func (o *outputs) find(e *config.Exporter) *output {
	if o == nil {
		return nil
	}
	for i := range o.list {
		if out := &o.list[i]; out.registry != nil && out.cfg.Same(e) {
			return out
		}
	}
	return nil
}

// closeBut closes the outputs of o that kept does not have, too.
func (a *aggregator) closeBut(o, kept *outputs) error {
	var errs []error
	for i := range o.list {
		out := &o.list[i]
		if out.registry == nil || kept.find(&out.cfg) != nil {
			continue
		}
		a.registries.Remove(out.registry)
		if out.store != nil {
			errs = append(errs, out.store.Close())
		}
	}
	return errors.Join(errs...)
}

// labelled is where an exporter's metrics go.
func (out *output) labelled() prometheus.Registerer {
	return prometheus.WrapRegistererWith(prometheus.Labels{"exporter": out.name}, out.registry)
}

func (out *output) openStore(cfg *config.Aggregator, logger *slog.Logger) (err error) {
	out.store, err = store.Open(store.Options{
		Dir: filepath.Join(cfg.DataDir, "store"), Retention: time.Duration(out.cfg.Store.Retention), Registerer: out.registry, Logger: logger,
	})
	if err != nil {
		return err
	}
	out.signals, out.sink, out.reader = telemetry.Signals[:], out.store, out.store
	return nil
}

func (out *output) openElasticsearch(cfg *config.Aggregator, logger *slog.Logger) error {
	c := out.cfg.Elasticsearch
	transport, err := credentials(c)
	if err != nil {
		return err
	}
	options := elasticsearch.Options{
		URLs: c.URLs, Transport: transport,
		LogsDataStream: c.LogsDataStream, TracesDataStream: c.TracesDataStream, DeadLetterDataStream: c.DeadLetterDataStream,
		Compression: telemetry.Gzip, MaxBulkBytes: int(c.MaxBulkBytes), Retention: time.Duration(c.Retention),
		StateDir:   filepath.Join(cfg.DataDir, "exporters", out.name),
		Registerer: out.labelled(), Logger: logger,
	}
	if c.Compression == "none" {
		options.Compression = telemetry.Identity
	}
	exporter, err := elasticsearch.New(options)
	if err != nil {
		return err
	}
	out.signals, out.sink = []telemetry.Signal{telemetry.Logs, telemetry.Spans}, exporter
	out.reader, err = elasticsearch.NewReader(options)
	return err
}

func (out *output) openRemoteWrite() error {
	exporter, err := remotewrite.New(out.cfg.Prometheus, remotewrite.Options{Registerer: out.labelled()})
	if err != nil {
		return err
	}
	out.signals = []telemetry.Signal{telemetry.Samples}
	if out.exemplars == passthrough {
		out.frames = exporter // unchanged, as they came
	} else {
		out.sink = pipeline.Encode(exporter)
	}
	return nil
}

func (out *output) openOTLP() error {
	c := out.cfg.OTLP
	exporter, err := otlp.New(otlp.Options{
		URL: c.URL, Headers: c.Headers, Timeout: time.Duration(c.Timeout), Registerer: out.labelled(),
		Compression: map[string]telemetry.Compression{"gzip": telemetry.Gzip, "zstd": telemetry.Zstd, "none": telemetry.Identity}[c.Compression],
	})
	if err != nil {
		return err
	}
	out.sink, out.only = exporter, noAttributes // spans go on as they came
	for _, s := range c.Signals {
		out.signals = append(out.signals, map[string]telemetry.Signal{"logs": telemetry.Logs, "spans": telemetry.Spans}[s])
	}
	return nil
}

// The cursors that are no exporter's; config refuses exporters of these names.
const (
	observeCursor    = "observe"
	decideCursor     = "decide"
	unexportedCursor = "unexported"
)

var ownCursors = []string{observeCursor, decideCursor, unexportedCursor}

// What becomes of exemplars, in the words of the configuration.
const (
	passthrough = "passthrough"
	stripped    = "off"
	verified    = "verified"
)

// unexported takes what no exporter takes. The frames it passes are counted as those of every cursor are.
type unexported struct{}

// Append implements telemetry.Appender.
func (unexported) Append(context.Context, []telemetry.Frame) error { return nil }

// addUnexported sees to it that a signal without an exporter does not fill its lane until senders are turned away. One that
// is observed has a cursor that passes its frames.
func (o *outputs) addUnexported(observers *observers, logger *slog.Logger) {
	for _, signal := range telemetry.Signals {
		taken := slices.ContainsFunc(o.list, func(out output) bool { return slices.Contains(out.signals, signal) })
		if !taken {
			logger.Warn("no exporter takes this signal: it is received, counted and let go", "signal", signal)
			if observers.of(signal) {
				continue
			}
			o.list = append(o.list, output{name: unexportedCursor, signals: []telemetry.Signal{signal}, frames: unexported{}})
		}
	}
}

// openLines opens the cursors of exporters of logs, before those that hold frames for them.
func (o *outputs) openLines(queue *pipeline.Queue) error {
	o.lines = map[string]*pipeline.Cursor{}
	for _, out := range o.list {
		if !slices.Contains(out.signals, telemetry.Logs) {
			continue
		}
		cursor, err := queue.Cursor(telemetry.Logs, out.name, pipeline.CursorOptions{Optional: out.optional})
		if err != nil {
			return err
		}
		o.lines[out.name] = cursor
	}
	return nil
}

// cursor returns the cursor of out, which may be open already.
func (o *outputs) cursor(queue *pipeline.Queue, out *output, signal telemetry.Signal, options pipeline.CursorOptions) (*pipeline.Cursor, error) {
	if c := o.lines[out.name]; c != nil && signal == telemetry.Logs {
		return c, nil
	}
	return queue.Cursor(signal, out.name, options)
}

// deliveries opens a cursor for every output and signal, and returns what runs each, by name.
func (o *outputs) deliveries(queue *pipeline.Queue, cfg *config.Aggregator, s *sampling, observers *observers, registry prometheus.Registerer, logger *slog.Logger) (map[string]func(context.Context) error, error) {
	o.addUnexported(observers, logger)
	parts := map[string]func(context.Context) error{}
	for _, out := range o.list {
		for _, signal := range out.signals {
			options := pipeline.CursorOptions{Optional: out.optional}
			var exemplars *correlate.Exemplars
			if signal == telemetry.Samples && out.sink != nil && out.exemplars == verified {
				exemplars = s.exemplars(observers.spans, prometheus.WrapRegistererWith(prometheus.Labels{"exporter": out.name}, registry))
				options.Hold = exemplars.Hold()
			}
			if signal == telemetry.Spans && out.frames == nil {
				s.follows(&options)
			}
			cursor, err := o.cursor(queue, &out, signal, options)
			if err != nil {
				return nil, err
			}
			if out.frames != nil {
				parts[deliveryName(out.name, signal)] = func(ctx context.Context) error {
					return pipeline.Forward(ctx, cursor, out.frames, pipeline.ForwardOptions{Logger: logger})
				}
				continue
			}
			d := &pipeline.Delivery{Cursor: cursor, Sink: out.sink, Only: out.only, MaxBodyBytes: maxBody(cfg), Logger: logger}
			switch {
			case signal == telemetry.Spans:
				s.spans(d)
			case signal == telemetry.Logs && cfg.Logs.FollowTrace():
				s.lines(d)
			case exemplars != nil:
				s.verify(d, exemplars)
			case signal == telemetry.Samples && out.exemplars == stripped:
				d.Stages = append(d.Stages, correlate.StripExemplars)
			}
			parts[deliveryName(out.name, signal)] = d.Run
		}
	}
	return parts, o.letGo(queue, s.traces == nil, observers, logger)
}

// letGo looks at the places that earlier runs kept in the queue and this one does not: what no exporter took is
// forgotten, an exporter that is gone from the configuration keeps its place as long as there is room.
func (o *outputs) letGo(queue *pipeline.Queue, sampled bool, observers *observers, logger *slog.Logger) error {
	for _, signal := range telemetry.Signals {
		for _, name := range queue.Cursors(signal) {
			used := name == observeCursor && observers.of(signal) || name == decideCursor && sampled || slices.ContainsFunc(o.list, func(out output) bool {
				return out.name == name && slices.Contains(out.signals, signal)
			})
			switch {
			case used:
			case slices.Contains(ownCursors, name):
				if err := queue.Forget(signal, name); err != nil {
					return err
				}
			default:
				logger.Warn("an exporter is no longer configured: its place in the queue is kept while there is room", "signal", signal, "exporter", name)
			}
		}
	}
	return nil
}

// query serves what can be read: the store if there is one, else the first Elasticsearch.
func (o *outputs) query(access query.Access, registry prometheus.Registerer) *query.API {
	options := query.Options{Access: access, Registerer: registry}
	for i := range o.list {
		out := &o.list[i]
		if out.store != nil {
			options.Queryable, options.ExemplarQueryable = out.store.Queryable(), out.store.ExemplarQueryable()
		}
		if out.reader != nil && (options.Logs == nil || out.store != nil) {
			options.Logs, options.Traces, options.Search = out.reader, out.reader, out.reader
		}
	}
	return query.New(options)
}

// credentials returns what sends requests with the credentials of c, whose files are read again for each; nil: there are
// none. A file that is missing now is an error.
func credentials(c *config.Elasticsearch) (http.RoundTripper, error) {
	client := commonconfig.DefaultHTTPClientConfig
	client.ProxyFromEnvironment = true
	switch {
	case c.APIKeyFile != "":
		client.Authorization = &commonconfig.Authorization{Type: "ApiKey", CredentialsFile: c.APIKeyFile}
	case c.PasswordFile != "":
		client.BasicAuth = &commonconfig.BasicAuth{Username: c.Username, PasswordFile: c.PasswordFile}
	default:
		return nil, nil
	}
	for _, file := range []string{c.APIKeyFile, c.PasswordFile} {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read a credential: %w", err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return nil, errors.New("the credential file " + file + " is empty")
		}
	}
	return commonconfig.NewRoundTripperFromConfig(client, "braid_elasticsearch")
}
