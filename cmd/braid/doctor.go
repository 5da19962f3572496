package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/diagnose"
)

const doctorLong = `Look at a running agent or aggregator, or at a support bundle of one, and say what is wrong with it and what to do.

Two readings of /metrics, --interval apart, show what goes on now; what was counted before them is at most a warning. Each
finding has a severity (problem, warning, fine), what is wrong, what to do, and the metric that says so.

A bundle (--write-bundle) is what to hand to whoever helps: both readings, /metrics/spans, health and readiness, what the
goroutines do, a heap profile, versions, these findings, and the files given with --config. It has no record and no
secret: of a configuration only values are kept that are known to be harmless, and URLs lose user, password, query and
long segments. Names of services, namespaces, pods and containers are in it.

The exit code is 0 without problems (there may be warnings), 1 with problems, 2 when nothing could be read.`

const doctorExample = `  # What is wrong with the aggregator of this machine?
  braid doctor

  # With the agent of a node?
  kubectl -n braid port-forward pod/braid-agent-x7k2p 9465 &
  braid doctor --server http://127.0.0.1:9465

  # What is not fine, for a script
  braid doctor -o json | jq -r '.findings[] | select(.severity != "fine") | .what'

  # Something to send to whoever helps, and to look at there
  braid doctor --write-bundle braid-bundle.tar.gz --config aggregator.yaml
  braid doctor --bundle braid-bundle.tar.gz`

// Exit codes of braid doctor.
const (
	exitProblems   = 1
	exitUnreadable = 2
)

type doctorOptions struct {
	connection
	output, color       string
	bundle, writeBundle string
	configs             []string
	interval            time.Duration

	// In tests: how the time between two readings passes, and what time it is.
	pause func(ctx context.Context, d time.Duration) error
	now   func() time.Time
}

func newDoctorCommand() *cobra.Command {
	return doctorCommand(&doctorOptions{pause: pauseFor, now: time.Now})
}

func doctorCommand(o *doctorOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "doctor [--server URL | --bundle FILE]",
		Short:                 "Say what is wrong with a running agent or aggregator, and what to do",
		Long:                  doctorLong,
		Example:               doctorExample,
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			problems := false
			err := runVerb(cmd, func() (err error) {
				problems, err = o.run(cmd, args)
				return err
			})
			switch {
			case errors.Is(err, exitError(1)):
				return exitError(exitUnreadable)
			case err == nil && problems:
				return exitError(exitProblems)
			}
			return err
		},
	}
	f := cmd.Flags()
	o.register(cmd)
	f.Lookup("server").Usage = "base URL of the aggregator, or of an agent's web.listen; default: $BRAID_SERVER, else " + fallbackServer
	f.StringVar(&o.bundle, "bundle", "", "look at this support bundle in place of a server")
	f.StringVar(&o.writeBundle, "write-bundle", "", "write a support bundle to this file as well")
	f.StringArrayVar(&o.configs, "config", nil, "configuration file to put into the bundle, without its secrets; may be given several times")
	f.DurationVar(&o.interval, "interval", 5*time.Second, "time between the two readings")
	f.StringVarP(&o.output, "output", "o", "text", "text: sentences; json: one object")
	f.StringVar(&o.color, "color", "auto", "auto (on a terminal), always or never")
	for name, values := range map[string][]string{"output": {"text", "json"}, "color": {"auto", "always", "never"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = cmd.MarkFlagFilename("bundle", "tar.gz", "tgz")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		_ = flagError(cmd, err)
		return exitError(exitUnreadable)
	})
	return cmd
}

func (o *doctorOptions) check(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 0:
		return errors.New("expected 'doctor' without arguments")
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("-o %q is unknown: text or json", o.output)
	case o.color != "auto" && o.color != "always" && o.color != "never":
		return fmt.Errorf("--color %q is unknown: auto, always or never", o.color)
	case o.interval < time.Second:
		return errors.New("--interval must be 1s at least")
	case o.bundle != "" && (cmd.Flags().Changed("server") || o.writeBundle != ""):
		return errors.New("--bundle goes neither with --server nor with --write-bundle")
	case len(o.configs) > 0 && o.writeBundle == "":
		return errors.New("--config is for --write-bundle")
	}
	return nil
}

// run reports whether there are problems.
func (o *doctorOptions) run(cmd *cobra.Command, args []string) (problems bool, err error) {
	if err := o.check(cmd, args); err != nil {
		return false, usageError{err}
	}
	var e *caseFile
	if o.bundle != "" {
		e, err = readBundle(o.bundle)
	} else {
		e, err = o.collect(cmd)
	}
	if err != nil {
		return false, err
	}
	input, err := e.input()
	if err != nil {
		return false, err
	}
	report := newDoctorReport(e, input)
	if o.writeBundle != "" {
		e.add(&exhibit{Name: findingsName, Taken: e.Created, body: report.text(false)})
		if err := e.write(o.writeBundle); err != nil {
			return false, err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "support bundle: %s\n", o.writeBundle)
	}
	screen := report.text(newPalette(o.color, cmd.OutOrStdout()))
	if o.output == "json" {
		if screen, err = report.json(); err != nil {
			return false, err
		}
	}
	_, err = cmd.OutOrStdout().Write(screen)
	problems = slices.ContainsFunc(report.Findings, func(f diagnose.Finding) bool { return f.Severity == diagnose.Problem })
	return problems, err
}
