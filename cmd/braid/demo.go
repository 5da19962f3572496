package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/demo"
	"github.com/braidhq/braid/demo/shop"
)

func newDemoCommand() *cobra.Command {
	o := demo.Options{}
	report := ""
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a small shop, its agent and its aggregator on this machine",
		Long: `Run a shop of five HTTP services, the node they log to, an agent and an aggregator, each a process of its own on
loopback, until Ctrl-C or for a while. The aggregator samples: traces with an error, an error line, a slow span or a
scraped exemplar are kept whole, and one in ten of the others; metrics are made of all spans. With --for everything that
the services wrote is read back at the end and compared with their own ledgers; the exit code is 1 if anything was lost,
doubled or changed, if a trace was cut or not kept though it should have been, or if an exemplar leads nowhere.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if report != "" && report != "json" {
				return fmt.Errorf("--report %q is unknown: json", report)
			}
			o.JSON = report == "json"
			o.Seed = uint64(time.Now().UnixNano())
			o.Stdout, o.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			var err error
			if o.Executable, err = os.Executable(); err != nil {
				return fmt.Errorf("cannot find this program: %w", err)
			}
			return runDemo(cmd.Context(), o)
		},
	}
	cmd.Flags().DurationVar(&o.For, "for", 0, "end after this time and reckon (0: on Ctrl-C)")
	cmd.Flags().StringVar(&report, "report", "", "json: reckon, and print one JSON object as the last line")
	cmd.Flags().StringVar(&o.Keep, "keep", "", "use this empty directory and leave logs, ledgers and data in it")
	cmd.Flags().BoolVar(&o.Chaos, "chaos", false, "kill the aggregator by -9 once in the middle")
	cmd.Flags().Float64Var(&o.Rate, "rate", 20, "customers' requests a second")
	cmd.AddCommand(newDemoServiceCommand())
	return cmd
}

// runDemo ends the demo in order at the first signal and at once at the second.
func runDemo(ctx context.Context, o demo.Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	stop := make(chan struct{})
	go func() {
		select {
		case <-signals:
			fmt.Fprintln(o.Stderr, "demo: stopping (once more: at once)")
			close(stop)
		case <-ctx.Done():
			return
		}
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return demo.Run(ctx, stop, o)
}

// newDemoServiceCommand is what the demo starts for each service of the shop.
func newDemoServiceCommand() *cobra.Command {
	topology := ""
	cmd := &cobra.Command{
		Use:          "service NAME",
		Hidden:       true,
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			t, err := shop.ReadTopology(topology)
			if err != nil {
				return err
			}
			return shop.Run(ctx, t, args[0], os.Stdout, os.Stderr)
		},
	}
	cmd.Flags().StringVar(&topology, "topology", "", "file that says where the services are")
	_ = cmd.MarkFlagRequired("topology")
	return cmd
}
