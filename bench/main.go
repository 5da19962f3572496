package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/braidhq/braid/bench/report"
)

// options are what the command line says.
type options struct {
	runs     int
	systems  string
	braid    string // directory of braid and braid-agent
	only     string // of the works
	peers    string // directory of the peers and floor
	results  string
	port     int
	profile  int
	size     int64
	pace     time.Duration
	targets  int
	series   int
	duration time.Duration
	interval time.Duration
	spans    int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (o options, benches []string, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	which := f.String("bench", "all", "logs, metrics, traces or all")
	f.IntVar(&o.runs, "runs", 3, "runs of each system")
	f.StringVar(&o.systems, "systems", "", "only these, separated by commas: braid, otelcol, prometheus-agent, floor")
	f.StringVar(&o.only, "works", "", "only these, separated by commas, of the bench's works: spans-red, logs-paced, ...")
	f.StringVar(&o.braid, "bin", "bin", "directory of braid and braid-agent")
	f.StringVar(&o.peers, "peers", "bench/peers/.build", "directory of the peers")
	f.StringVar(&o.results, "results", "bench/results", "directory of the results")
	f.IntVar(&o.port, "port", 19300, "first port on 127.0.0.1; those in use are passed over")
	f.IntVar(&o.profile, "profile", 0, "take a CPU profile of this many seconds from the start of every run, into the results")
	size := f.String("size", "256MiB", "logs: size of the log files, in MiB")
	f.DurationVar(&o.pace, "pace", 30*time.Second, "logs: how long lines are written at a steady rate; 0 leaves that work out")
	f.IntVar(&o.targets, "targets", 50, "metrics: targets to scrape")
	f.IntVar(&o.series, "series", 2000, "metrics: series of a target")
	f.DurationVar(&o.interval, "interval", 5*time.Second, "metrics: between scrapes, in whole seconds")
	f.DurationVar(&o.duration, "duration", time.Minute, "metrics: how long they are scraped")
	f.IntVar(&o.spans, "spans", 1_000_000, "traces: spans, ten a trace")
	if err := f.Parse(args); err != nil {
		return o, nil, err
	}
	mebibytes, err := strconv.ParseInt(strings.TrimSuffix(*size, "MiB"), 10, 32)
	if err != nil || mebibytes < 1 {
		return o, nil, fmt.Errorf("-size %q is no number of MiB", *size)
	}
	o.size = mebibytes << 20
	benches = []string{*which}
	if *which == "all" {
		benches = []string{"logs", "metrics", "traces"}
	}
	if f.NArg() > 0 || o.runs < 1 || o.interval < time.Second {
		return o, nil, errors.New("cannot run so: see -help")
	}
	return o, benches, nil
}

func run(ctx context.Context, args []string) error {
	o, benches, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "braid-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range benches {
		b := &bench{options: o, dir: dir}
		works, err := b.works(name)
		if err != nil {
			return err
		}
		results, err := b.all(ctx, works)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows := report.Rows(results)
		if err := report.Table(os.Stdout, rows); err != nil {
			return err
		}
		if err := report.Save(filepath.Join(o.results, name+".json"), rows); err != nil {
			return err
		}
	}
	return nil
}

// wants reports whether s is to do w.
func (o *options) wants(w *work, s system) bool {
	named := func(list, name string) bool { return list == "" || slices.Contains(strings.Split(list, ","), name) }
	return named(o.only, w.name) && named(o.systems, s.name)
}
