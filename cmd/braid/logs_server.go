package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/kube"
)

// runServer prints what an aggregator has stored, and with -f what it stores from now on.
func (o *logsOptions) runServer(cmd *cobra.Command, pods *kube.Pods, p *linePrinter) error {
	client, err := o.client(cmd)
	if err != nil {
		return err
	}
	s := &logStream{client: client, params: o.params(), printer: p, errOut: cmd.ErrOrStderr()}
	if err := o.chooseOnServer(cmd, pods, s); err != nil {
		return err
	}
	p.merged = true
	if o.lastLines == 0 { // which the query API takes for all of them
		if !o.follow {
			return nil
		}
		s.params.Del("tail")
		s.params.Set("from", formatTime(max(o.fromUnixNano, time.Now().UnixNano())))
	}
	if o.follow {
		return s.follow(cmd.Context())
	}
	if err := s.once(cmd.Context()); err != nil {
		return err
	}
	if s.lines == 0 {
		return o.nothing("lines")
	}
	return nil
}

// chooseOnServer says which pods and containers are wanted. With --pods these are the ones that kubectl would choose,
// and those that have no log to show are told as kubectl tells them. Without, the name is all there is.
func (o *logsOptions) chooseOnServer(cmd *cobra.Command, pods *kube.Pods, s *logStream) error {
	if pods == nil {
		name, err := o.podArg()
		if name != "" {
			s.params.Set("pod", name)
		}
		if o.container != "" {
			s.params.Set("container", o.container)
		}
		return err
	}
	targets, err := o.selectFromPods(pods, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	s.wanted = make(map[string]bool)
	names, containers := make(map[string]bool), make(map[string]bool)
	for _, t := range targets {
		if _, err := t.state.Attempt(o.previous); err != nil {
			if !o.ignoreErrors && !o.lenient {
				return err
			}
			printError(cmd, err)
			continue
		}
		if !names[t.pod] {
			s.params.Add("pod", t.pod)
		}
		names[t.pod], containers[t.container] = true, true
		s.wanted[t.namespace+"/"+t.pod+"/"+t.container] = true
	}
	if len(names) == 0 {
		return o.nothing("lines")
	}
	if len(containers) == 1 {
		for name := range containers {
			s.params.Set("container", name)
		}
	}
	return nil
}
