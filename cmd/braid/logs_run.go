package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/kube"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/logs/tree"
	"github.com/braidhq/braid/telemetry"
)

// lookEvery is how often a followed tree is looked at.
const lookEvery = 100 * time.Millisecond

// run is braid logs after the flags were parsed.
func (o *logsOptions) run(cmd *cobra.Command, args []string) error {
	if err := o.complete(cmd, args, time.Now()); err != nil {
		return err
	}
	var pods *kube.Pods
	if o.podsFile != "" {
		var err error
		if pods, err = kube.ReadFile(o.podsFile); err != nil {
			return err
		}
	}
	p := o.printer(cmd.OutOrStdout())
	var err error
	if o.path != "" {
		err = o.runTree(cmd, pods, p)
	} else {
		err = o.runServer(cmd, pods, p)
	}
	err = errors.Join(err, p.finish())
	var empty emptyError
	if errors.As(err, &empty) {
		fmt.Fprintln(cmd.ErrOrStderr(), empty.text)
		return nil
	}
	return err
}

// runTree prints from a log tree: one container after the other, or all of them as they come when they are followed.
func (o *logsOptions) runTree(cmd *cobra.Command, pods *kube.Pods, p *linePrinter) error {
	containers, listErr := listTree(o.path)
	if listErr != nil && len(containers) == 0 {
		return fmt.Errorf("cannot read the log tree: %w", listErr)
	}
	targets, err := o.selectTargets(cmd, pods, containers)
	if err != nil {
		return errors.Join(err, listErr)
	}
	if o.follow && len(targets) > 1 {
		if o.boundedFollow && len(targets) > o.maxRequests {
			return fmt.Errorf("you are attempting to follow %d log streams, but maximum allowed concurrency is %d, "+
				"use --max-log-requests to increase the limit", len(targets), o.maxRequests)
		}
		return o.followAll(cmd, containers, targets, p)
	}
	for _, t := range targets {
		err := o.printTarget(cmd.Context(), containers, t, p.print)
		switch {
		case err == nil:
		case cmd.Context().Err() != nil || p.broken():
			return err
		case o.ignoreErrors:
			fmt.Fprintf(p.out, "error: %v\n", err) // kubectl prints it among the lines, too
		case o.lenient:
			printError(cmd, err)
		default:
			return err
		}
	}
	return nil
}

// listTree takes /var/log for the /var/log/pods in it.
func listTree(path string) ([]tree.Container, error) {
	containers, err := tree.List(path, format.CRI)
	if len(containers) > 0 || err != nil {
		return containers, err
	}
	below := filepath.Join(path, "pods")
	if info, err := os.Stat(below); err != nil || !info.IsDir() {
		return nil, nil
	}
	return tree.List(below, format.CRI)
}

func (o *logsOptions) selectTargets(cmd *cobra.Command, pods *kube.Pods, containers []tree.Container) ([]target, error) {
	if pods != nil {
		return o.selectFromPods(pods, cmd.ErrOrStderr())
	}
	return o.selectFromTree(containers)
}

// followAll prints several containers at once. The first error ends it, unless errors are ignored.
func (o *logsOptions) followAll(cmd *cobra.Command, containers []tree.Container, targets []target, p *linePrinter) error {
	p.merged = true
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	var mu sync.Mutex // guards p and what is said beside it
	print := func(r *telemetry.LogRecord) error {
		mu.Lock()
		defer mu.Unlock()
		return p.print(r)
	}
	var all sync.WaitGroup
	for _, t := range targets {
		all.Go(func() {
			err := o.printTarget(ctx, containers, t, print)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil || ctx.Err() != nil:
			case p.broken():
				cancel(err)
			case o.ignoreErrors:
				fmt.Fprintf(p.out, "error: %v\n", err)
			case o.lenient:
				printError(cmd, err)
			default:
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// printTarget prints one container.
func (o *logsOptions) printTarget(ctx context.Context, containers []tree.Container, t target, print func(*telemetry.LogRecord) error) error {
	c, a, err := o.find(containers, t)
	if err != nil {
		return err
	}
	q := tree.Query{TraceID: o.traceID, Tail: o.lastLines, FromUnixNano: o.fromUnixNano}
	if o.follow && !o.previous {
		err = c.Follow(ctx, a, q, lookEvery, print)
	} else {
		err = c.Read(ctx, a, q, print)
	}
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// find returns the attempt that kubectl would print: with the container's state as the kubelet chooses it, without it
// the newest one, and with -p the one before.
func (o *logsOptions) find(containers []tree.Container, t target) (*tree.Container, *tree.Attempt, error) {
	restart, known := 0, t.state != nil
	if known {
		var err error
		if restart, err = t.state.Attempt(o.previous); err != nil {
			return nil, nil, err
		}
	}
	c := findContainer(containers, t)
	if c == nil {
		return nil, nil, fmt.Errorf("the tree %s has no log of container %q in pod %q", o.path, t.container, t.pod)
	}
	switch {
	case !o.previous:
		// The list of pods may be older than the tree.
		return c, c.Newest(), nil
	case !known && len(c.Attempts) > 1:
		return c, &c.Attempts[len(c.Attempts)-2], nil
	case known && c.Attempt(restart) != nil:
		return c, c.Attempt(restart), nil
	}
	return nil, nil, kube.BadRequest("previous terminated container %q in pod %q not found", t.container, t.pod)
}

func findContainer(containers []tree.Container, t target) *tree.Container {
	for i := range containers {
		c := &containers[i]
		if c.Namespace == t.namespace && c.Pod == t.pod && c.PodUID == t.podUID && c.Name == t.container {
			return c
		}
	}
	return nil
}
