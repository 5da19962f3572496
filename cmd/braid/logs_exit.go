package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/kube"
)

// A usageError is answered with a hint at the help.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// flagError prints what kubectl prints for a flag it does not know.
func flagError(cmd *cobra.Command, err error) error {
	fmt.Fprintf(cmd.ErrOrStderr(), "Error: %v\nSee '%s --help' for usage.\n", err, cmd.CommandPath())
	return exitError(1)
}

// runVerb runs a verb that reads, prints its error as kubectl would, and returns the exit code as an exitError.
// Ctrl-C, SIGTERM and a reader of our output that has gone are no errors to speak of: they end the verb quietly, with
// the code that a shell reports for the signal.
func runVerb(cmd *cobra.Command, run func() error) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	cmd.SetContext(ctx)
	var code atomic.Int32
	code.Store(128 + int32(syscall.SIGINT))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				code.Store(128 + int32(syscall.SIGTERM))
			}
			cancel()
		case <-ctx.Done():
		}
	}()
	err := run()
	switch {
	case err == nil && ctx.Err() == nil:
		return nil
	case errors.Is(err, syscall.EPIPE):
		return exitError(128 + int(syscall.SIGPIPE))
	case ctx.Err() != nil:
		return exitError(code.Load())
	}
	printError(cmd, err)
	return exitError(1)
}

// printError prints what the API server said as it said it, and everything else as kubectl prints its own errors.
func printError(cmd *cobra.Command, err error) {
	var answer *kube.Error
	var usage usageError
	switch {
	case errors.As(err, &answer):
		fmt.Fprintln(cmd.ErrOrStderr(), err)
	case errors.As(err, &usage):
		fmt.Fprintf(cmd.ErrOrStderr(), "error: %v\nSee '%s -h' for help and examples\n", err, cmd.CommandPath())
	default:
		fmt.Fprintf(cmd.ErrOrStderr(), "error: %v\n", err)
	}
}
