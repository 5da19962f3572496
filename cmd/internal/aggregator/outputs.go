package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	// exemplars is what becomes of those of its samples: verified, passthrough or off.
	exemplars string
}

// outputs are the aggregator's ways out, and what of them can be read.
type outputs struct {
	list  []output
	lines map[string]*pipeline.Cursor // of exporters of logs, by name
	store *store.Store
	// The store is read if there is one, else the first Elasticsearch.
	logs   query.Logs
	traces query.Traces
	search query.TraceSearch
}

func openOutputs(cfg *config.Aggregator, registry prometheus.Registerer, logger *slog.Logger) (*outputs, error) {
	o := &outputs{}
	for _, e := range cfg.Exporters {
		var err error
		switch {
		case e.Store != nil:
			err = o.addStore(cfg, e, registry, logger)
		case e.Elasticsearch != nil:
			err = o.addElasticsearch(cfg, e, registry, logger)
		case e.OTLP != nil:
			err = o.addOTLP(e, registry)
		default:
			err = o.addRemoteWrite(e, registry)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("exporter %s: %w", e.Name, err), o.close())
		}
	}
	return o, nil
}

func (o *outputs) addStore(cfg *config.Aggregator, e config.Exporter, registry prometheus.Registerer, logger *slog.Logger) error {
	s, err := store.Open(store.Options{
		Dir: filepath.Join(cfg.DataDir, "store"), Retention: time.Duration(e.Store.Retention), Registerer: registry, Logger: logger,
	})
	if err != nil {
		return err
	}
	o.store, o.logs, o.traces, o.search = s, s, s, s
	o.list = append(o.list, output{name: e.Name, optional: e.Optional, signals: telemetry.Signals[:], sink: s, exemplars: e.Exemplars})
	return nil
}

func (o *outputs) addElasticsearch(cfg *config.Aggregator, e config.Exporter, registry prometheus.Registerer, logger *slog.Logger) error {
	c := e.Elasticsearch
	password, err := secret(c.PasswordFile)
	if err != nil {
		return err
	}
	apiKey, err := secret(c.APIKeyFile)
	if err != nil {
		return err
	}
	options := elasticsearch.Options{
		URLs: c.URLs, Username: c.Username, Password: password, APIKey: apiKey,
		LogsDataStream: c.LogsDataStream, TracesDataStream: c.TracesDataStream, DeadLetterDataStream: c.DeadLetterDataStream,
		Compression: telemetry.Gzip, MaxBulkBytes: int(c.MaxBulkBytes), Retention: time.Duration(c.Retention),
		StateDir:   filepath.Join(cfg.DataDir, "exporters", e.Name),
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"exporter": e.Name}, registry), Logger: logger,
	}
	if c.Compression == "none" {
		options.Compression = telemetry.Identity
	}
	exporter, err := elasticsearch.New(options)
	if err != nil {
		return err
	}
	o.list = append(o.list, output{name: e.Name, optional: e.Optional, signals: []telemetry.Signal{telemetry.Logs, telemetry.Spans}, sink: exporter})
	if o.logs == nil {
		reader, err := elasticsearch.NewReader(options)
		if err != nil {
			return err
		}
		o.logs, o.traces, o.search = reader, reader, reader
	}
	return nil
}

func (o *outputs) addRemoteWrite(e config.Exporter, registry prometheus.Registerer) error {
	exporter, err := remotewrite.New(e.Prometheus, remotewrite.Options{
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"exporter": e.Name}, registry),
	})
	if err != nil {
		return err
	}
	out := output{name: e.Name, optional: e.Optional, signals: []telemetry.Signal{telemetry.Samples}, exemplars: e.Exemplars}
	if e.Exemplars == passthrough {
		out.frames = exporter // unchanged, as they came
	} else {
		out.sink = pipeline.Encode(exporter)
	}
	o.list = append(o.list, out)
	return nil
}

func (o *outputs) addOTLP(e config.Exporter, registry prometheus.Registerer) error {
	exporter, err := otlp.New(otlp.Options{
		URL: e.OTLP.URL, Headers: e.OTLP.Headers, Timeout: time.Duration(e.OTLP.Timeout),
		Compression: map[string]telemetry.Compression{"gzip": telemetry.Gzip, "zstd": telemetry.Zstd, "none": telemetry.Identity}[e.OTLP.Compression],
		Registerer:  prometheus.WrapRegistererWith(prometheus.Labels{"exporter": e.Name}, registry),
	})
	if err != nil {
		return err
	}
	out := output{name: e.Name, optional: e.Optional, sink: exporter}
	for _, s := range e.OTLP.Signals {
		out.signals = append(out.signals, map[string]telemetry.Signal{"logs": telemetry.Logs, "spans": telemetry.Spans}[s])
	}
	o.list = append(o.list, out)
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
			d := &pipeline.Delivery{Cursor: cursor, Sink: out.sink, MaxBodyBytes: maxBody(cfg), Logger: logger}
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

// query serves what can be read, to those who may.
func (o *outputs) query(access query.Access, registry prometheus.Registerer) *query.API {
	options := query.Options{Logs: o.logs, Traces: o.traces, Search: o.search, Access: access, Registerer: registry}
	if o.store != nil {
		options.Queryable, options.ExemplarQueryable = o.store.Queryable(), o.store.ExemplarQueryable()
	}
	return query.New(options)
}

func (o *outputs) close() error {
	if o.store == nil {
		return nil
	}
	return o.store.Close()
}

// secret reads a credential from its file, without the line's end.
func secret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read a credential: %w", err)
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		return "", errors.New("the credential file " + file + " is empty")
	}
	return value, nil
}
