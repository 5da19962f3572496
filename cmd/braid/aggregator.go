package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/cmd/internal/aggregator"
	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
)

func newAggregatorCommand() *cobra.Command {
	var flags run.Flags
	cmd := &cobra.Command{
		Use:   "aggregator",
		Short: "Run the aggregator: queue, count and ship what agents and SDKs send",
		Long: `Run the aggregator.

It takes OTLP logs and traces and Prometheus remote-write from agents and from any other sender, appends them to a durable
queue before it answers, counts all of it, and ships it to every exporter of its configuration. Each exporter has a place
of its own in the queue: one that is away holds nobody up but itself.

SIGHUP, or a POST to /-/reload, reads the configuration again and replaces what has changed, without dropping a connection;
one that cannot be used is refused, and what was in use stays. SIGTERM and SIGINT stop intake, flush, sync and exit within
25 seconds.`,
		Example: "  braid aggregator --config.file /etc/braid/aggregator.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			logger, err := flags.Logger(os.Stderr)
			if err != nil {
				return err
			}
			load := func() (*config.Aggregator, error) { return config.LoadAggregator(flags.ConfigFile) }
			cfg, err := load()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return aggregator.Run(ctx, cfg, load, version, logger)
		},
	}
	flags.Register(cmd, "/etc/braid/aggregator.yaml")
	return cmd
}
