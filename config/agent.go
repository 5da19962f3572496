package config

import (
	"fmt"
	"net/url"
	"os"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"

	"github.com/braidhq/braid/listen"
)

// Agent is the node agent's configuration.
type Agent struct {
	Cluster    string     `yaml:"cluster"`    // name of the cluster; becomes k8s.cluster.name of every record
	Node       string     `yaml:"node"`       // name of the node; becomes k8s.node.name; default the host's name
	DataDir    string     `yaml:"data_dir"`   // directory of the log files' positions and of the queue; one agent at a time; required
	Aggregator Upstream   `yaml:"aggregator"` // where everything is sent
	Logs       []LogRoot  `yaml:"logs"`       // directory trees of container logs to follow; default none
	Receivers  Receivers  `yaml:"receivers"`  // where pushed telemetry is taken
	Web        Web        `yaml:"web"`        // the listener for people and monitoring
	Limits     Limits     `yaml:"limits"`     // bounds of what is taken from outside
	Queue      QueueLimit `yaml:"queue"`      // the queue on disk, of what cannot be read again: samples and pushed records

	Global        yaml.Node `yaml:"global"`         // Prometheus' own section: scrape_interval, scrape_timeout, external_labels, …
	ScrapeConfigs yaml.Node `yaml:"scrape_configs"` // Prometheus' own jobs. braid-agent has static, file and HTTP discovery; braid agent also Kubernetes

	// Prometheus holds global and scrape_configs, read by Prometheus; nil without scrape_configs.
	Prometheus *promconfig.Config `yaml:"-"`
}

// LogRoot is one directory tree of container logs.
type LogRoot struct {
	Path   string `yaml:"path"`   // a directory, as /var/log/pods; no glob; required
	Format string `yaml:"format"` // cri (the tree of /var/log/pods) or docker (/var/lib/docker/containers); default cri
}

// Receivers says where pushed telemetry is taken. An absent listener is off.
type Receivers struct {
	HTTP *listen.Config `yaml:"http"` // OTLP/HTTP (/v1/logs, /v1/traces) and remote-write (/api/v1/write); default off
	GRPC *listen.Config `yaml:"grpc"` // OTLP/gRPC of logs and traces; default off
}

// Web is the listener for people and monitoring. What is read through it can only be restricted in an aggregator's.
type Web struct {
	Listen   *listen.Config `yaml:"listen"`    // /metrics, /-/healthy, /-/ready, /-/reload, /debug/pprof; an aggregator's also answers queries; default off
	Access   Access         `yaml:"access"`    // who may read what; aggregator only
	AuditLog string         `yaml:"audit_log"` // a file, or stderr, that gets a JSON line for every read; aggregator only; default none
}

// Limits bounds what braid takes from outside.
type Limits struct {
	MaxBodyBytes    Size `yaml:"max_body_bytes"`     // of one request, as sent and after decompression; a larger one is answered 413; default 64MiB
	MaxLineBytes    Size `yaml:"max_line_bytes"`     // of one log line that an agent reads; a longer one is cut off and flagged; default 1MiB
	MaxRotatedBytes Size `yaml:"max_rotated_bytes"`  // agent only: of rotated log files held open while the aggregator is away; beyond it the oldest is let go, and counted; default 1GiB
	MaxSeries       int  `yaml:"max_metrics_series"` // aggregator only: series made of spans; what comes beyond goes to one overflow series; default 20000
}

// QueueLimit bounds the queue on disk.
type QueueLimit struct {
	MaxBytes Size `yaml:"max_bytes"` // of each lane (logs, spans, samples), on disk and compressed; a full lane answers 429; default 1GiB
}

func defaultLimits() Limits {
	return Limits{MaxBodyBytes: 64 << 20, MaxLineBytes: 1 << 20, MaxRotatedBytes: 1 << 30, MaxSeries: 20_000}
}

// LoadAgent reads and checks the agent's configuration file. Its error is *Problems, or that of reading the file.
func LoadAgent(file string) (*Agent, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	return ParseAgent(file, text)
}

// ParseAgent is LoadAgent on text; file is used in errors, and to resolve relative paths in Prometheus' sections.
func ParseAgent(file string, text []byte) (*Agent, error) {
	c := &Agent{Limits: defaultLimits(), Queue: QueueLimit{MaxBytes: 1 << 30}}
	root, p := parse(file, text, c)
	if root == nil {
		return nil, p
	}
	if !c.ScrapeConfigs.IsZero() {
		c.Prometheus = prometheusConfig(file, text, root, p)
	}
	if c.Node == "" {
		c.Node, _ = os.Hostname()
	}
	c.check(root, p)
	if err := p.orNil(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Agent) check(root *yaml.Node, p *Problems) {
	if c.DataDir == "" {
		p.add(root.Line, "data_dir is missing: where the agent keeps its positions and its queue")
	}
	checkURL(c.Aggregator.URL, lineOf(root, "aggregator", "url"), "aggregator.url", p)
	c.Aggregator.check(root, p)
	checkListeners(c.Receivers, c.Web, root, p)
	c.checkAccess(root, p)
	switch c.Aggregator.Compression {
	case "":
		c.Aggregator.Compression = "zstd"
	case "zstd", "gzip", "none":
	default:
		p.add(lineOf(root, "aggregator", "compression"), "aggregator.compression %q is unknown: zstd, gzip or none", c.Aggregator.Compression)
	}
	for i := range c.Logs {
		at := lineOf(root, "logs", fmt.Sprint(i))
		if c.Logs[i].Path == "" {
			p.add(at, "path is missing: a directory such as /var/log/pods")
		}
		switch c.Logs[i].Format {
		case "":
			c.Logs[i].Format = "cri"
		case "cri", "docker":
		default:
			p.add(lineOf(root, "logs", fmt.Sprint(i), "format"), "format %q is unknown: cri or docker", c.Logs[i].Format)
		}
	}
	if len(c.Logs) == 0 && c.Prometheus == nil && c.Receivers == (Receivers{}) && len(p.List) == 0 {
		p.add(root.Line, "there is nothing to do: give logs, scrape_configs or receivers")
	}
}

func checkURL(text string, line int, key string, p *Problems) {
	if text == "" {
		p.add(line, "%s is missing: a URL such as http://aggregator:4318", key)
		return
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		p.add(line, "%s %q is no http or https URL", key, text)
	}
}

// timeout is the default of every request to a peer.
const timeout = Duration(30 * time.Second)

// Scrapes returns what is to be scraped, and the defaults for it.
func (c *Agent) Scrapes() (global promconfig.GlobalConfig, jobs []*promconfig.ScrapeConfig) {
	if c.Prometheus == nil {
		return global, nil
	}
	return c.Prometheus.GlobalConfig, c.Prometheus.ScrapeConfigs
}
