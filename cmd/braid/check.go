package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/listen"
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
		cfg, err := config.ParseAggregator(file, text)
		if err != nil {
			return nil, err
		}
		return aggregatorWarnings(cfg), nil
	}
	cfg, err := config.ParseAgent(file, text)
	if err != nil {
		return nil, err
	}
	return agentWarnings(cfg), nil
}

// aggregatorWarnings says what is allowed and lets more people in, or shows them more, than may be meant.
func aggregatorWarnings(cfg *config.Aggregator) []string {
	var warnings []string
	if web := cfg.Web.Listen; web != nil && web.Authenticates() && !cfg.Web.Access.Kubernetes {
		warnings = append(warnings, "web.listen asks who comes, and without web.access.kubernetes whoever is let in may read every namespace")
	}
	for name, l := range map[string]*listen.Config{"http": cfg.Receivers.HTTP, "grpc": cfg.Receivers.GRPC} {
		if l != nil && l.Auth != nil && l.Auth.Kubernetes != nil && len(l.Auth.Users) == 0 {
			warnings = append(warnings, fmt.Sprintf("receivers.%s takes tokens of Kubernetes without auth.users: whatever pod has one for the audience may send", name))
		}
	}
	slices.Sort(warnings)
	return warnings
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
