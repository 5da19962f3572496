package config

import (
	"strings"
	"testing"
	"time"
)

const withSampling = `data_dir: /x
receivers: {http: 127.0.0.1:1}
exporters:
- {name: a, store: {}}
- {name: b, otlp: {url: "http://127.0.0.1:4318"}}
`

func TestSampling(t *testing.T) {
	c, err := ParseAggregator("a.yaml", []byte(withSampling+`logs: {sampling: follow_trace}
sampling:
  wait: 3s
  dry_run: true
  exemplars: false
  keep:
  - {name: errors, type: error}
  - {name: slow, type: slow, above: 2s}
  - {name: slowest, type: slow, quantile: 0.99}
  - {name: pay, type: attribute, key: http.route, values: [/pay]}
  - {name: each, type: share, traces: 5, per: 1m}
  - all:
    - {name: some, type: share, probability: 0.1}
    - any: [{name: line, type: error_line}, {name: pin, type: exemplar}]
`))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Sampling
	if time.Duration(s.Wait) != 3*time.Second || time.Duration(s.Late) != 5*time.Minute || !s.DryRun || *s.Exemplars || s.ErrorLines != nil {
		t.Errorf("got %+v", s)
	}
	if len(s.Keep) != 6 || s.Keep[5].All[1].Any[1].Type != "exemplar" || s.Keep[3].Values[0] != "/pay" || time.Duration(s.Keep[4].Per) != time.Minute {
		t.Errorf("got %+v", s.Keep)
	}
	if !c.Logs.FollowTrace() || c.Exporters[0].Exemplars != "verified" || c.Exporters[1].OTLP.Signals[0] != "spans" || c.Exporters[1].OTLP.Compression != "gzip" {
		t.Errorf("got %+v", c)
	}
	if c, err = ParseAggregator("a.yaml", []byte(withSampling)); err != nil || c.Sampling != nil || c.Logs.FollowTrace() || time.Duration(c.SpanMetrics.Interval) != 15*time.Second {
		t.Errorf("without sampling: %+v, %v", c, err)
	}
}

func TestSamplingRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		text, says string
		line       int
	}{
		"no rules":             {"sampling: {wait: 3s}", "sampling.keep is missing", 6},
		"unknown type":         {"sampling:\n  keep:\n  - {name: a, type: latency}", `unknown type "latency"`, 8},
		"unknown key":          {"sampling:\n  keep:\n  - {name: a, type: error, abov: 1s}", `unknown key "abov"`, 8},
		"key of another type":  {"sampling:\n  keep:\n  - {name: a, type: error, above: 1s}", "has no key above", 8},
		"no name":              {"sampling:\n  keep:\n  - {type: error}", "rule name", 8},
		"a name twice":         {"sampling:\n  keep:\n  - {name: a, type: error}\n  - all: [{name: a, type: always}]", "taken", 9},
		"a name of braid's":    {"sampling:\n  keep:\n  - {name: exemplars, type: error}", "taken", 8},
		"slow by nothing":      {"sampling:\n  keep:\n  - {name: a, type: slow}", "slow takes", 8},
		"slow by both":         {"sampling:\n  keep:\n  - {name: a, type: slow, above: 1s, quantile: 0.9}", "slow takes", 8},
		"quantile 1":           {"sampling:\n  keep:\n  - {name: a, type: slow, quantile: 1}", "slow takes", 8},
		"attribute of nothing": {"sampling:\n  keep:\n  - {name: a, type: attribute, values: [x]}", "takes a key", 8},
		"share of all":         {"sampling:\n  keep:\n  - {name: a, type: share, probability: 1}", "share takes", 8},
		"two shares":           {"sampling:\n  keep:\n  - {name: a, type: share, probability: 0.5, traces: 1}", "share takes", 8},
		"per of nothing":       {"sampling:\n  keep:\n  - {name: a, type: share, probability: 0.5, per: 1s}", "share takes", 8},
		"all of nothing":       {"sampling:\n  keep:\n  - all: []", "all needs rules", 8},
		"all with a name":      {"sampling:\n  keep:\n  - {name: a, all: [{name: b, type: error}]}", "no other key", 8},
		"follow nothing":       {"logs: {sampling: follow_trace}", "needs a section sampling", 6},
		"follow what":          {"logs: {sampling: head}", "none or follow_trace", 6},
	} {
		t.Run(name, func(t *testing.T) { refused(t, withSampling+test.text, test.line, test.says) })
	}
	for name, test := range map[string]struct {
		exporter, says string
	}{
		"exemplars of spans": {"{name: c, exemplars: off, otlp: {url: http://a}}", "that take samples"},
		"exemplars how":      {"{name: c, exemplars: sure, remote_write: {url: http://a}}", "verified, passthrough or off"},
		"otlp without url":   {"{name: c, otlp: {}}", "otlp.url is missing"},
		"otlp metrics":       {"{name: c, otlp: {url: http://a, signals: [metrics]}}", "spans and logs"},
		"otlp twice":         {"{name: c, otlp: {url: http://a, signals: [logs, logs]}}", "each once"},
		"otlp in snappy":     {"{name: c, otlp: {url: http://a, compression: snappy}}", "gzip, zstd or none"},
		"a cursor of ours":   {"{name: decide, otlp: {url: http://a}}", "taken by braid itself"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, withSampling+"- "+test.exporter, 6, test.says) })
	}
}

func refused(t *testing.T, text string, line int, says string) {
	t.Helper()
	_, err := ParseAggregator("a.yaml", []byte(text))
	for _, p := range problems(t, err) {
		if p.Line == line && strings.Contains(p.Text, says) {
			return
		}
	}
	t.Errorf("no problem in line %d says %q: %v", line, says, err)
}
