// Package agent is the node agent's wiring, shared by the mains braid (verb agent) and braid-agent. It imports no store,
// no PromQL engine and no Kubernetes client, so that braid-agent weighs what an agent must.
package agent

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
)

// NewCommand returns the verb that runs the agent. name is what the user types.
func NewCommand(name, version string) *cobra.Command {
	var flags run.Flags
	cmd := &cobra.Command{
		Use:   name,
		Short: "Run the node agent: tail container logs, scrape targets, take pushed telemetry",
		Long: `Run the node agent.

It tails the node's container logs, scrapes Prometheus targets and takes OTLP and remote-write pushes, and sends all
of it to the aggregator. Logs are acknowledged by the aggregator before the agent moves its position; what cannot be
read again goes through a queue on disk first.

SIGHUP, or a POST to /-/reload, reads the configuration again and replaces what has changed; one that cannot be used is
refused, and what was in use stays. SIGTERM and SIGINT stop intake, flush, sync and exit within 25 seconds.`,
		Example: fmt.Sprintf("  %s --config.file /etc/braid/agent.yaml", name),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			logger, err := flags.Logger(os.Stderr)
			if err != nil {
				return err
			}
			load := func() (*config.Agent, error) { return config.LoadAgent(flags.ConfigFile) }
			cfg, err := load()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return Run(ctx, cfg, load, version, logger)
		},
	}
	flags.Register(cmd, "/etc/braid/agent.yaml")
	cmd.AddCommand(newPrepareCommand())
	return cmd
}
