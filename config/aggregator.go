package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// Aggregator is the central aggregator's configuration.
type Aggregator struct {
	Cluster   string     `yaml:"cluster"`   // name of the cluster
	DataDir   string     `yaml:"data_dir"`  // directory of the queue, the embedded store and the exporters' state; required
	Receivers Receivers  `yaml:"receivers"` // where agents and others send; one of http and grpc is required
	Exporters []Exporter `yaml:"exporters"` // the ways out; each is exactly one of store, elasticsearch, otlp and remote_write; required
	Web       Web        `yaml:"web"`       // the listener for people, Grafana and monitoring

	Sampling    *Sampling   `yaml:"sampling"`     // which traces are kept; default every one, and nothing waits
	Logs        LogSampling `yaml:"logs"`         // what sampling means for lines
	SpanMetrics SpanMetrics `yaml:"span_metrics"` // metrics made of spans, and the service graph
	Limits      Limits      `yaml:"limits"`       // bounds of what is taken from outside
	Queue       QueueLimit  `yaml:"queue"`        // the queue on disk
	Kubernetes  Kubernetes  `yaml:"kubernetes"`   // the API server that auth.kubernetes and web.access ask
}

// SpanMetrics says how metrics are made of spans.
type SpanMetrics struct {
	Enabled    *bool    `yaml:"enabled"`    // false: none are made, of spans that are sampled and sent on alone; default true
	Interval   Duration `yaml:"interval"`   // between two samples of a series, sent to the exporters of samples; default 15s
	Histograms string   `yaml:"histograms"` // of latency: classic, native or both; default classic
	Dimensions []string `yaml:"dimensions"` // attributes of a span, or else of its resource, that become labels (http.route: http_route); default none
}

// Exporter is one way out; exactly one of its kinds is set.
type Exporter struct {
	Name          string         `yaml:"name"`          // letters, digits, - and _; its place in the queue is kept under it: under a new name it begins with the oldest frame that is still there; required
	Optional      bool           `yaml:"optional"`      // true: when its lane is full its oldest frames are skipped (counted) in place of turning senders away; default false
	Exemplars     string         `yaml:"exemplars"`     // of store and remote_write: verified (of kept traces only), passthrough (all) or off; default verified
	Store         *Store         `yaml:"store"`         // the embedded store of lines, spans and samples; one at most
	Elasticsearch *Elasticsearch `yaml:"elasticsearch"` // data streams of lines and spans
	RemoteWrite   yaml.Node      `yaml:"remote_write"`  // Prometheus' own remote_write entry: url, headers, basic_auth, tls_config, protobuf_message, …
	OTLP          *OTLP          `yaml:"otlp"`          // a backend of traces, or of logs, that speaks OTLP/HTTP

	// Prometheus is remote_write as Prometheus reads it.
	Prometheus *promconfig.RemoteWriteConfig `yaml:"-"`
}

// Store configures the embedded store.
type Store struct {
	Retention Duration `yaml:"retention"` // for how long lines, spans and samples are kept; default 24h
}

// Elasticsearch configures an Elasticsearch cluster to write to.
type Elasticsearch struct {
	URLs                 []string `yaml:"urls"`                    // nodes of one cluster, as http://es:9200; required
	Username             string   `yaml:"username"`                // with password_file
	PasswordFile         string   `yaml:"password_file"`           // a file with the password
	APIKeyFile           string   `yaml:"api_key_file"`            // a file with an encoded API key, in place of username and password
	LogsDataStream       string   `yaml:"logs_data_stream"`        // of lines; default logs-braid-default
	TracesDataStream     string   `yaml:"traces_data_stream"`      // of spans; default traces-braid-default
	DeadLetterDataStream string   `yaml:"dead_letter_data_stream"` // of documents that Elasticsearch refuses, with its reason; not one of the other two; default logs-braid.deadletter-default
	Compression          string   `yaml:"compression"`             // gzip or none; default gzip
	MaxBulkBytes         Size     `yaml:"max_bulk_bytes"`          // of one bulk request, before compression; default 5MiB
	Retention            Duration `yaml:"retention"`               // of the data streams' lifecycle; default the cluster's
	Timeout              Duration `yaml:"timeout"`                 // of one request; default 30s
}

// OTLP configures a backend of traces, or of logs, that speaks OTLP over HTTP.
type OTLP struct {
	URL         string            `yaml:"url"`         // the base of /v1/traces and /v1/logs; required
	Compression string            `yaml:"compression"` // gzip, zstd or none; default gzip
	Signals     []string          `yaml:"signals"`     // spans, logs or both; default spans
	Headers     map[string]string `yaml:"headers"`     // sent with every request. A secret in one is in this file: ${NAME} takes it from the environment
	Timeout     Duration          `yaml:"timeout"`     // of one request; default 30s
}

// IsAggregator reports whether text looks like an aggregator's configuration: only that has exporters.
func IsAggregator(text []byte) bool {
	var keys map[string]any
	if err := yaml.Unmarshal(text, &keys); err != nil {
		return false // the agent's reader says what is wrong with it
	}
	_, exporters := keys["exporters"]
	return exporters
}

// LoadAggregator reads and checks the aggregator's configuration file. Its error is *Problems, or that of reading.
func LoadAggregator(file string) (*Aggregator, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	return ParseAggregator(file, text)
}

// ParseAggregator is LoadAggregator on text; file is used in errors and to resolve relative paths.
func ParseAggregator(file string, text []byte) (*Aggregator, error) {
	c := &Aggregator{Limits: defaultLimits(), Queue: QueueLimit{MaxBytes: 1 << 30}}
	root, p := parse(file, text, c)
	if root == nil {
		return nil, p
	}
	if c.DataDir == "" {
		p.add(root.Line, "data_dir is missing: where the aggregator keeps its queue")
	}
	c.SpanMetrics.check(root, p)
	c.Logs.check(root, c.Sampling != nil, p)
	if c.Sampling != nil {
		c.Sampling.check(child(root, "sampling"), p)
	}
	if c.Receivers == (Receivers{}) {
		p.add(root.Line, "receivers is missing: nothing could reach this aggregator")
	}
	if len(c.Exporters) == 0 {
		p.add(root.Line, "exporters is missing: give a store, an elasticsearch, an otlp or a remote_write")
	}
	checkListeners(c.Receivers, c.Web, root, p)
	c.checkAccess(root, p)
	used, stores := map[string]bool{}, 0
	for i := range c.Exporters {
		e := &c.Exporters[i]
		at := lineOf(root, "exporters", fmt.Sprint(i))
		e.check(file, at, p)
		if used[e.Name] {
			p.add(at, "exporter name %q is used twice: its place in the queue is kept under it", e.Name)
		}
		used[e.Name] = true
		if e.Store != nil {
			stores++
		}
		if stores > 1 {
			p.add(at, "there can be one store")
		}
	}
	if err := p.orNil(); err != nil {
		return nil, err
	}
	return c, nil
}

// Same reports whether two exporters are configured alike, wherever in their files.
func (e *Exporter) Same(other *Exporter) bool {
	a, b := *e, *other
	a.RemoteWrite, b.RemoteWrite = yaml.Node{}, yaml.Node{} // they know their lines; what they say is in Prometheus
	return reflect.DeepEqual(a, b)
}

func (e *Exporter) check(file string, at int, p *Problems) {
	kinds := 0
	if e.Store != nil {
		kinds++
		if e.Store.Retention == 0 {
			e.Store.Retention = Duration(24 * time.Hour)
		}
	}
	if e.Elasticsearch != nil {
		kinds++
		e.Elasticsearch.check(at, p)
	}
	if !e.RemoteWrite.IsZero() {
		kinds++
		e.Prometheus = remoteWrite(file, &e.RemoteWrite, p)
	}
	if e.OTLP != nil {
		kinds++
		e.OTLP.check(at, p)
	}
	if kinds != 1 {
		p.add(at, "an exporter is exactly one of store, elasticsearch, otlp and remote_write; this one has %d", kinds)
	}
	e.checkExemplars(at, p)
	if slices.Contains(ownCursors, e.Name) {
		p.add(at, "exporter name %q is taken by braid itself", e.Name)
	}
	if e.Name == "" || strings.ContainsFunc(e.Name, notInName) {
		p.add(at, "exporter name %q: letters, digits, - and _ are expected", e.Name)
	}
}

// ownCursors are the names under which braid itself keeps places in the queue.
var ownCursors = []string{"observe", "decide", "unexported"}

func (e *Exporter) checkExemplars(at int, p *Problems) {
	switch {
	case e.Exemplars == "":
		e.Exemplars = "verified"
	case e.Store == nil && e.RemoteWrite.IsZero():
		p.add(at, "exemplars is a key of exporters that take samples: store and remote_write")
	case e.Exemplars != "verified" && e.Exemplars != "passthrough" && e.Exemplars != "off":
		p.add(at, "exemplars %q is unknown: verified, passthrough or off", e.Exemplars)
	}
}

func (s *SpanMetrics) check(root *yaml.Node, p *Problems) {
	if s.Interval == 0 {
		s.Interval = Duration(15 * time.Second)
	}
	switch s.Histograms {
	case "":
		s.Histograms = "classic"
	case "classic", "native", "both":
	default:
		p.add(lineOf(root, "span_metrics", "histograms"), "histograms %q is unknown: classic, native or both", s.Histograms)
	}
}

// check fills in defaults and reports what cannot be.
func (o *OTLP) check(at int, p *Problems) {
	checkURL(o.URL, at, "otlp.url", p)
	if o.Compression == "" {
		o.Compression = "gzip"
	}
	if o.Compression != "gzip" && o.Compression != "zstd" && o.Compression != "none" {
		p.add(at, "otlp.compression %q is unknown: gzip, zstd or none", o.Compression)
	}
	if len(o.Signals) == 0 {
		o.Signals = []string{"spans"}
	}
	for i, s := range o.Signals {
		if s != "spans" && s != "logs" || slices.Contains(o.Signals[:i], s) {
			p.add(at, "otlp.signals are spans and logs, each once; not %q", s)
		}
	}
}

func notInName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}

func (e *Elasticsearch) check(at int, p *Problems) {
	if len(e.URLs) == 0 {
		p.add(at, "elasticsearch.urls is missing")
	}
	for _, u := range e.URLs {
		checkURL(u, at, "elasticsearch.urls", p)
	}
	if e.Compression == "" {
		e.Compression = "gzip"
	}
	if e.Compression != "gzip" && e.Compression != "none" {
		p.add(at, "elasticsearch.compression %q is unknown: gzip or none", e.Compression)
	}
	if e.LogsDataStream == "" {
		e.LogsDataStream = "logs-braid-default"
	}
	if e.TracesDataStream == "" {
		e.TracesDataStream = "traces-braid-default"
	}
	if e.DeadLetterDataStream == "" {
		e.DeadLetterDataStream = "logs-braid.deadletter-default"
	}
	if e.DeadLetterDataStream == e.LogsDataStream || e.DeadLetterDataStream == e.TracesDataStream {
		p.add(at, "elasticsearch.dead_letter_data_stream %q is that of records too: dead letters must not be read as these", e.DeadLetterDataStream)
	}
	if e.MaxBulkBytes == 0 {
		e.MaxBulkBytes = 5 << 20
	}
	if e.Timeout == 0 {
		e.Timeout = timeout
	}
}
