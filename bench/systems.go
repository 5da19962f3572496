package main

import (
	"path/filepath"

	"github.com/braidhq/braid/bench/configs"
)

func braidAgent(config string) system {
	return system{name: "braid", config: config, argv: func(b *bench, file string, _ configs.Values) []string {
		return []string{filepath.Join(b.braid, "braid-agent"), "--config.file", file, "--log.level", "warn"}
	}}
}

func braidAggregator(config string) system {
	return system{name: "braid", config: config, argv: func(b *bench, file string, _ configs.Values) []string {
		return []string{filepath.Join(b.braid, "braid"), "aggregator", "--config.file", file, "--log.level", "warn"}
	}}
}

// otelcol is the Collector. Its binaries are two: not every version has every component (bench/peers).
func otelcol(binary, config string) system {
	return system{name: "otelcol", config: config, argv: func(b *bench, file string, _ configs.Values) []string {
		return []string{filepath.Join(b.peers, binary), "--config", "file:" + file}
	}}
}

func prometheusAgent(config string) system {
	return system{name: "prometheus-agent", config: config, argv: func(b *bench, file string, v configs.Values) []string {
		return []string{
			filepath.Join(b.peers, "prometheus"), "--agent", "--config.file", file, "--storage.agent.path", filepath.Join(v.Dir, "data"),
			"--web.listen-address", v.Web, "--log.level", "warn",
		}
	}}
}

func floor() system {
	return system{name: "floor", argv: func(b *bench, _ string, v configs.Values) []string {
		return []string{filepath.Join(b.peers, "floor"), "-pods", v.Pods, "-url", v.Sink, "-codec", v.Codec}
	}}
}

// spansFloor is the floor of taking spans: to have them on disk before they are answered.
func (b *bench) spansFloor() system {
	return system{name: "floor", once: b.received, argv: func(b *bench, _ string, v configs.Values) []string {
		return []string{filepath.Join(b.peers, "floor"), "-receive", v.Receive, "-file", keptFile(v.Dir)}
	}}
}

func keptFile(dir string) string { return filepath.Join(dir, "kept") }
