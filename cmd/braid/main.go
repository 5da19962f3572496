// Command braid brings logs, metrics and traces together while they flow: agent, aggregator, demo and the command line
// in one program.
package main

import (
	"errors"
	"os"

	_ "github.com/prometheus/prometheus/discovery/kubernetes" // kubernetes_sd_configs, in this main only
	"github.com/spf13/cobra"

	"github.com/braidhq/braid/cmd/internal/agent"
)

// version is set at link time.
var version = "unknown"

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "braid",
		Short: "Logs, metrics and traces of a cluster, brought together while they flow",
		Long: `braid brings a cluster's logs, metrics and traces together while they flow.

  braid demo                       a small shop, its agent and its aggregator, on this machine
  braid logs -f -n shop            stream lines, as kubectl logs does
  braid trace ID                   a trace's waterfall with its log lines in place
  braid top services               requests, errors and durations of every service, live
  braid doctor                     what is wrong, and what to do
  braid agent, braid aggregator    the pipeline itself`,
		Version:       version,
		SilenceErrors: false,
	}
	root.AddCommand(
		agent.NewCommand("agent", version),
		newAggregatorCommand(),
		newDemoCommand(),
		newLogsCommand(),
		newTraceCommand(),
		newTopCommand(),
		newDoctorCommand(),
		newCheckCommand(),
		newVersionCommand(),
	)
	return root
}

// An exitError carries a verb's exit code; its text has been printed already.
type exitError int

func (e exitError) Error() string { return "" }

func main() {
	err := newRootCommand().Execute()
	var code exitError
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		os.Exit(1)
	}
}
