package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/config"
)

func newCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE...",
		Short: "Check configuration files",
		Long: `Check configuration files of agent and aggregator (which of the two a file is for shows in its keys).

Every problem is printed as FILE:LINE: TEXT. The exit code is 1 when there is one.`,
		Example: "  braid check /etc/braid/agent.yaml\n  braid check agent.yaml aggregator.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			bad := false
			for _, file := range files {
				warnings, err := checkFile(file)
				for _, w := range warnings {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", file, w)
				}
				if err != nil {
					bad = true
					fmt.Fprintln(cmd.ErrOrStderr(), err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", file)
			}
			if bad {
				return exitError(1)
			}
			return nil
		},
	}
}

// checkFile loads file as what its keys say it is.
func checkFile(file string) (warnings []string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if config.IsAggregator(text) {
		_, err := config.ParseAggregator(file, text)
		return nil, err
	}
	cfg, err := config.ParseAgent(file, text)
	if err != nil {
		return nil, err
	}
	return agentWarnings(cfg), nil
}

// agentWarnings says what is allowed and costs more than it seems.
func agentWarnings(cfg *config.Agent) []string {
	var warnings []string
	if cfg.Prometheus == nil {
		return nil
	}
	for _, job := range cfg.Prometheus.ScrapeConfigs {
		for _, mechanism := range job.ServiceDiscoveryConfigs {
			if strings.HasPrefix(mechanism.Name(), "kubernetes") {
				warnings = append(warnings, fmt.Sprintf(
					"job %q uses kubernetes_sd_configs: every agent then watches the API server; prefer one aggregator-side job or file_sd", job.JobName))
			}
		}
	}
	return warnings
}
