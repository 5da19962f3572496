package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/query"
)

const traceLong = `Print a trace as a waterfall: every span below its parent, with its offset from the start of the trace, its duration
and a bar, and every log line that carries the trace id below its span, in the order of time. A bar is full (█) where the
trace waited for just this span: that is the critical path.

Below come lines without a trace id (~), which the same pods wrote while the trace went on, and what the process metrics
of its pods say, if they are known. Both belong to the trace only as far as pods and times tell.

Spans and lines that are still on their way to the aggregator are missing: ask again.`

const traceExample = `  # A trace from the aggregator on this machine
  braid trace 4bf92f3577b34da6a3ce929d0e0e4736

  # The same as one JSON object
  braid trace 4bf92f3577b34da6a3ce929d0e0e4736 -o json --server http://braid.example:9464

  # The trace of the last error that was logged
  braid trace $(braid logs -A -i '"level":"error"' -o json | jq -r .trace_id | tail -1)`

type traceOptions struct {
	connection
	output, color string
}

func newTraceCommand() *cobra.Command {
	o := &traceOptions{}
	cmd := &cobra.Command{
		Use:                   "trace ID",
		Short:                 "Print a trace as a waterfall, with its log lines in place",
		Long:                  traceLong,
		Example:               traceExample,
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
	f.StringVarP(&o.output, "output", "o", "text", "text: the waterfall; json: the trace as the aggregator tells it")
	f.StringVar(&o.color, "color", "auto", "auto (on a terminal), always or never")
	for name, values := range map[string][]string{"output": {"text", "json"}, "color": {"auto", "always", "never"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	cmd.SetFlagErrorFunc(flagError)
	return cmd
}

func (o *traceOptions) run(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) != 1:
		return usageError{errors.New("expected 'trace ID'")}
	case o.output != "text" && o.output != "json":
		return usageError{fmt.Errorf("-o %q is unknown: text or json", o.output)}
	case o.color != "auto" && o.color != "always" && o.color != "never":
		return usageError{fmt.Errorf("--color %q is unknown: auto, always or never", o.color)}
	}
	id, err := parseTraceID(args[0])
	if err != nil {
		return usageError{err}
	}
	client, err := o.client(cmd)
	if err != nil {
		return err
	}
	body, err := client.get(cmd.Context(), "/api/v1/traces/"+id.String(), nil)
	var refused *answerError
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return fmt.Errorf("trace %s is unknown: nothing of it is stored (yet, or any more)", id)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	answer, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("cannot read the aggregator's answer: %w", err)
	}
	if o.output == "json" {
		_, err = cmd.OutOrStdout().Write(append(bytes.TrimSpace(answer), '\n'))
		return err
	}
	var view query.TraceView
	if err := json.Unmarshal(answer, &view); err != nil {
		return fmt.Errorf("cannot read the aggregator's answer: %w", err)
	}
	for _, warning := range view.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: the aggregator %s\n", printable(warning))
	}
	w := newWaterfall(&view, newPalette(o.color, cmd.OutOrStdout()))
	_, err = cmd.OutOrStdout().Write(w.render())
	return err
}
