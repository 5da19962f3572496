package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/braidhq/braid/bench/input"
)

const (
	containers = 50
	seed       = 1
	paceRate   = 200 // lines a second and container
)

// works returns what the bench of that name consists of, its input made.
func (b *bench) works(name string) ([]work, error) {
	switch name {
	case "logs":
		return b.logWorks()
	case "metrics":
		return []work{{name: "metrics", codec: "snappy", unit: "million samples", once: b.scrape, systems: []system{
			braidAgent("braid-metrics.yaml"), otelcol("otelcol", "otelcol-metrics.yaml"), prometheusAgent("prometheus-metrics.yaml"),
		}}}, nil
	case "traces":
		return []work{
			{name: "spans-red", codec: "snappy", unit: "million spans", once: b.red, systems: []system{
				braidAggregator("braid-spans-red.yaml"), otelcol("otelcol-spanmetrics", "otelcol-spans-red.yaml"), b.spansFloor(),
			}},
			{name: "spans-tail", codec: "gzip", unit: "million spans", once: b.tail, systems: []system{
				braidAggregator("braid-spans-tail.yaml"), otelcol("otelcol", "otelcol-spans-tail.yaml"),
			}},
		}, nil
	}
	return nil, fmt.Errorf("there is no bench %q: logs, metrics, traces or all", name)
}

func (b *bench) logWorks() ([]work, error) {
	pods := filepath.Join(b.dir, "pods")
	fmt.Fprintf(os.Stderr, "writing %d MiB of log files\n", b.size>>20)
	lines, err := input.WriteLines(pods, containers, b.size, seed)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "%d lines, %d after joining, %d MiB\n", lines.Physical, lines.Truth.Records, lines.Bytes>>20)
	var works []work
	agent := braidAgent("braid-logs.yaml")
	for _, codec := range []string{"gzip", "zstd"} {
		works = append(works,
			work{name: "logs", codec: codec, unit: "GiB", once: b.ship(pods, lines), systems: []system{
				agent, otelcol("otelcol", "otelcol-logs.yaml"), floor(),
			}},
			work{name: "logs-unparsed", codec: codec, unit: "GiB", once: b.ship(pods, lines), systems: []system{
				otelcol("otelcol", "otelcol-logs-unparsed.yaml"),
			}})
	}
	if b.pace > 0 {
		works = append(works, work{name: "logs-paced", codec: "gzip", unit: "second", once: b.paced, systems: []system{
			agent, otelcol("otelcol", "otelcol-logs.yaml"),
		}})
	}
	return works, nil
}
