package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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

// topOptions are the flags of all kinds of braid top; each kind registers those that it has.
type topOptions struct {
	connection
	output, color, sort, kind, namespace string
	window, interval                     time.Duration
	limit                                int
	once                                 bool

	// In tests: whether the output is a terminal, and how the time between two tables passes.
	live  func(io.Writer) bool
	pause func(ctx context.Context, d time.Duration) error
	now   func() time.Time
}

// A topView is one table.
type topView interface {
	text(p palette) []byte
	json() ([]byte, error)
}

// A topKind is one of the tables that braid top prints.
type topKind struct {
	name, short, long, example string
	columns                    []string // that --sort takes, the first is the default; none: no --sort
	check                      func() error
	read                       func(context.Context, aggregatorClient) (topView, error)
}

func newTopCommand() *cobra.Command {
	top := &cobra.Command{
		Use:               "top",
		Short:             "Print what the services do, which containers write most, which metrics have most series",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	for _, newCommand := range []func(*topOptions) *cobra.Command{newTopServicesCommand, newTopContainersCommand, newTopMetricsCommand} {
		top.AddCommand(newCommand(&topOptions{live: isTerminal, pause: pauseFor, now: time.Now}))
	}
	return top
}

// command returns the command of a kind, with the flags that all kinds have.
func (o *topOptions) command(k topKind) *cobra.Command {
	cmd := &cobra.Command{
		Use:                   k.name,
		Short:                 k.short,
		Long:                  k.long,
		Example:               k.example,
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerb(cmd, func() error { return o.run(cmd, k, args) })
		},
	}
	f := cmd.Flags()
	o.register(cmd)
	f.StringVarP(&o.output, "output", "o", "text", "text: a table; json: one object")
	f.StringVar(&o.color, "color", "auto", "auto (on a terminal), always or never")
	f.DurationVar(&o.interval, "interval", 2*time.Second, "time between two tables on a terminal")
	f.BoolVar(&o.once, "once", false, "print one table, on a terminal too")
	values := map[string][]string{"output": {"text", "json"}, "color": {"auto", "always", "never"}}
	if len(k.columns) > 0 {
		f.StringVar(&o.sort, "sort", k.columns[0], "what to sort by, the highest first; names in their order: "+orList(k.columns))
		values["sort"] = k.columns
	}
	for name, values := range values {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	cmd.SetFlagErrorFunc(flagError)
	return cmd
}

// orList writes a, b or c.
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

var (
	topKinds   = []string{"server", "all"}
	topColumns = []string{"rate", "service", "errors", "p50", "p95", "p99"}
)

func newTopServicesCommand(o *topOptions) *cobra.Command {
	cmd := o.command(topKind{
		name: "services", short: "Print each service's rate, errors and durations, live on a terminal", long: topServicesLong, example: topServicesExample,
		columns: topColumns, check: o.checkServices,
		read: func(ctx context.Context, client aggregatorClient) (topView, error) { return o.read(ctx, client) },
	})
	cmd.Flags().StringVar(&o.kind, "kind", "server", "server: spans in which a service was asked; all: every span")
	cmd.Flags().DurationVar(&o.window, "window", 2*time.Minute, "how far back the numbers reach; two scrapes at least")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(topKinds, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *topOptions) checkServices() error {
	switch {
	case !slices.Contains(topKinds, o.kind):
		return fmt.Errorf("--kind %q is unknown: server or all", o.kind)
	case o.window < time.Second:
		return errors.New("--window must be a second at least")
	}
	return nil
}

func (o *topOptions) check(k topKind, args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("expected 'top %s' without arguments", k.name)
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("-o %q is unknown: text or json", o.output)
	case o.color != "auto" && o.color != "always" && o.color != "never":
		return fmt.Errorf("--color %q is unknown: auto, always or never", o.color)
	case len(k.columns) > 0 && !slices.Contains(k.columns, o.sort):
		return fmt.Errorf("--sort %q is unknown: %s", o.sort, orList(k.columns))
	case o.interval < 100*time.Millisecond:
		return errors.New("--interval must be 100ms at least")
	case o.limit < 0:
		return errors.New("--limit must not be below 0")
	}
	return k.check()
}

func (o *topOptions) run(cmd *cobra.Command, k topKind, args []string) error {
	if err := o.check(k, args); err != nil {
		return usageError{err}
	}
	client, err := o.client(cmd)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	live := o.output == "text" && !o.once && o.live(out)
	for {
		table, err := k.read(cmd.Context(), client)
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
