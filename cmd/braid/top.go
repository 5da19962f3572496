package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

const topServicesLong = `Print what the services do: requests a second, the share of them that failed, and how long they took (median, 95th and
99th percentile), over the last two minutes or another --window.

The numbers are made of all spans before any sampling: of those in which a service was asked (kinds server and consumer),
or of every span with --kind all. On a terminal the table is drawn again every --interval until Ctrl-C; elsewhere, with
--once and with -o json it is printed once.`

const topServicesExample = `  # What goes on, live
  braid top services

  # The slowest service
  braid top services --once --sort p99 | sed -n 2p

  # For a script: rates and shares as numbers, durations in seconds
  braid top services -o json | jq '.services[] | select(.error_ratio > 0.01)'`

type topOptions struct {
	connection
	output, color, sort, kind string
	window, interval          time.Duration
	once                      bool

	// In tests: whether the output is a terminal, and how the time between two tables passes.
	live  func(io.Writer) bool
	pause func(ctx context.Context, d time.Duration) error
	now   func() time.Time
}

func newTopCommand() *cobra.Command {
	top := &cobra.Command{
		Use:               "top",
		Short:             "Print what the services do",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	top.AddCommand(newTopServicesCommand(&topOptions{live: isTerminal, pause: pauseFor, now: time.Now}))
	return top
}

func newTopServicesCommand(o *topOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "services",
		Short:                 "Print each service's rate, errors and durations, live on a terminal",
		Long:                  topServicesLong,
		Example:               topServicesExample,
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerb(cmd, func() error { return o.run(cmd, args) })
		},
	}
	f := cmd.Flags()
	o.register(cmd)
	f.StringVarP(&o.output, "output", "o", "text", "text: a table; json: one object")
	f.StringVar(&o.color, "color", "auto", "auto (on a terminal), always or never")
	f.StringVar(&o.sort, "sort", "rate", "service, or one of rate, errors, p50, p95, p99: the highest first")
	f.StringVar(&o.kind, "kind", "server", "server: spans in which a service was asked; all: every span")
	f.DurationVar(&o.window, "window", 2*time.Minute, "how far back the numbers reach; two scrapes at least")
	f.DurationVar(&o.interval, "interval", 2*time.Second, "time between two tables on a terminal")
	f.BoolVar(&o.once, "once", false, "print one table, on a terminal too")
	for name, values := range map[string][]string{"output": {"text", "json"}, "color": {"auto", "always", "never"}, "kind": topKinds, "sort": topColumns} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	cmd.SetFlagErrorFunc(flagError)
	return cmd
}

var (
	topKinds   = []string{"server", "all"}
	topColumns = []string{"service", "rate", "errors", "p50", "p95", "p99"}
)

func (o *topOptions) check(args []string) error {
	switch {
	case len(args) > 0:
		return errors.New("expected 'top services' without arguments")
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("-o %q is unknown: text or json", o.output)
	case o.color != "auto" && o.color != "always" && o.color != "never":
		return fmt.Errorf("--color %q is unknown: auto, always or never", o.color)
	case !slices.Contains(topKinds, o.kind):
		return fmt.Errorf("--kind %q is unknown: server or all", o.kind)
	case !slices.Contains(topColumns, o.sort):
		return fmt.Errorf("--sort %q is unknown: service, rate, errors, p50, p95 or p99", o.sort)
	case o.window < time.Second:
		return errors.New("--window must be a second at least")
	case o.interval < 100*time.Millisecond:
		return errors.New("--interval must be 100ms at least")
	}
	return nil
}

func (o *topOptions) run(cmd *cobra.Command, args []string) error {
	if err := o.check(args); err != nil {
		return usageError{err}
	}
	client, err := o.client(cmd)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	live := o.output == "text" && !o.once && o.live(out)
	for {
		table, err := o.read(cmd.Context(), client)
		if err != nil && !live {
			return err
		}
		var screen []byte
		switch {
		case err != nil: // the aggregator may come back
			screen = fmt.Appendf(nil, "error: %v\n", err)
		case o.output == "json":
			screen, err = table.json()
		default:
			screen = table.text(newPalette(o.color, out))
		}
		if err != nil && !live {
			return err
		}
		if live {
			screen = inPlace(screen)
		}
		if _, err := out.Write(screen); err != nil || !live {
			return err
		}
		if err := o.pause(cmd.Context(), o.interval); err != nil {
			return err
		}
	}
}

// inPlace makes screen overwrite what is on the terminal, row by row, so that it does not flicker.
func inPlace(screen []byte) []byte {
	b := []byte("\x1b[H")
	for _, c := range screen {
		if c == '\n' {
			b = append(b, "\x1b[K"...)
		}
		b = append(b, c)
	}
	return append(b, "\x1b[J"...)
}

func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
