package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/telemetry"
)

// selectorTail is how many lines of each container are printed when many pods are meant and --tail is not given.
const selectorTail = 10

// logsOptions are the flags of braid logs, and what follows from them.
type logsOptions struct {
	connection

	follow, previous, allNamespaces, allContainers, allPods bool
	timestamps, prefix, ignoreErrors                        bool
	namespace, selector, container                          string
	since                                                   time.Duration
	sinceTime                                               string
	tail, limitBytes                                        int64
	maxRequests                                             int
	include, exclude                                        []string
	trace, output, color                                    string
	path, podsFile                                          string

	arg                       string // POD or TYPE/NAME
	lastLines                 int    // per container; -1: all
	fromUnixNano              int64  // 0: all
	traceID                   telemetry.TraceID
	includeExprs, excludeExps []*regexp.Regexp
	boundedFollow             bool // --max-log-requests holds
	lenient                   bool // a container without a log is told, and passed by
}

// complete reads the arguments. The texts are kubectl's.
func (o *logsOptions) complete(cmd *cobra.Command, args []string, now time.Time) error {
	changed := func(flag string) bool { return cmd.Flags().Changed(flag) }
	inline := len(args) == 2
	switch {
	case len(args) > 2:
		return usageError{fmt.Errorf("expected '%s'", logsUsage)}
	case inline && changed("container"):
		return errors.New("only one of -c or an inline [CONTAINER] arg is allowed")
	case inline:
		o.container = args[1]
	}
	if len(args) > 0 {
		o.arg = args[0]
	}
	if o.arg != "" && o.selector != "" {
		return usageError{errors.New("only a selector (-l) or a POD name is allowed")}
	}
	if o.allNamespaces {
		o.namespace = ""
	} else if o.namespace == "" {
		o.namespace = "default" // as kubectl -n ""
	}
	if o.path != "" && changed("server") {
		return errors.New("at most one of --path and --server may be specified")
	}
	many := o.arg == ""
	if many && o.selector == "" { // all of a namespace, which kubectl does not know
		o.prefix, o.lenient = true, true
		o.allContainers = o.allContainers || o.container == ""
	}
	o.prefix = o.prefix || o.allPods
	o.boundedFollow = o.arg != "" || o.selector != "" || changed("max-log-requests")
	o.lastLines = int(max(o.tail, -1))
	if many && o.tail == -1 && !changed("tail") {
		o.lastLines = selectorTail
	}
	return o.validate(now)
}

func (o *logsOptions) validate(now time.Time) error {
	switch {
	case o.sinceTime != "" && o.since != 0:
		return errors.New("at most one of `sinceTime` or `sinceSeconds` may be specified")
	case o.allContainers && o.container != "":
		return fmt.Errorf("--all-containers=true should not be specified with container name %s", o.container)
	case o.limitBytes < 0:
		return errors.New("--limit-bytes must be greater than 0")
	case o.since < 0:
		return errors.New("--since must be greater than 0")
	case o.tail < -1:
		return errors.New("--tail must be greater than or equal to -1")
	case o.output != "raw" && o.output != "json":
		return usageError{fmt.Errorf("-o %q is unknown: raw or json", o.output)}
	case o.color != "auto" && o.color != "always" && o.color != "never":
		return usageError{fmt.Errorf("--color %q is unknown: auto, always or never", o.color)}
	}
	if o.since != 0 {
		o.fromUnixNano = now.Add(-wholeSeconds(o.since)).UnixNano()
	}
	if o.sinceTime != "" {
		t, err := time.Parse(time.RFC3339Nano, o.sinceTime)
		if err != nil {
			return fmt.Errorf("parsing time %q as %q: it is no RFC 3339 time", o.sinceTime, time.RFC3339)
		}
		o.fromUnixNano = t.UnixNano()
	}
	if o.trace != "" {
		id, err := parseTraceID(o.trace)
		if err != nil {
			return usageError{err}
		}
		o.traceID = id
	}
	var err error
	if o.includeExprs, err = compileAll("--include", o.include); err != nil {
		return err
	}
	o.excludeExps, err = compileAll("--exclude", o.exclude)
	return err
}

// wholeSeconds rounds as kubectl does, which asks the API server in seconds. Less than half a second, which kubectl
// turns into "now", stays as it is.
func wholeSeconds(d time.Duration) time.Duration {
	if r := d.Round(time.Second); r > 0 {
		return r
	}
	return d
}

func compileAll(flag string, exprs []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, expr := range exprs {
		re, err := regexp.Compile(expr)
		if err != nil {
			return nil, usageError{fmt.Errorf("cannot read %s: %w", flag, err)}
		}
		all = append(all, re)
	}
	return all, nil
}

// parseTraceID reads 32 hex digits (W3C); upper case is accepted.
func parseTraceID(s string) (id telemetry.TraceID, err error) {
	raw, err := hex.DecodeString(strings.ToLower(strings.TrimSpace(s)))
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("%q is no trace id: want 32 hex digits", s)
	}
	copy(id[:], raw)
	if id.IsZero() {
		return id, fmt.Errorf("%q is no trace id: it is all zero", s)
	}
	return id, nil
}
