package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/kube"
)

// known lists the containers that --pods or --path tell of. An aggregator cannot list pods, so there is nothing to
// propose without these flags.
func (o *logsOptions) known() []target {
	var all []target
	if o.podsFile != "" {
		pods, err := kube.ReadFile(o.podsFile)
		if err != nil {
			return nil
		}
		for _, pod := range pods.In("") {
			for _, c := range pod.Containers {
				all = append(all, target{namespace: pod.Namespace, pod: pod.Name, container: c.Name})
			}
		}
		return all
	}
	if o.path == "" {
		return nil
	}
	containers, err := listTree(o.path)
	if err != nil {
		cobra.CompDebugln(err.Error(), false)
	}
	for _, c := range containers {
		all = append(all, target{namespace: c.Namespace, pod: c.Pod, container: c.Name})
	}
	return all
}

func (o *logsOptions) inNamespace(t target) bool {
	return o.allNamespaces || t.namespace == o.namespace
}

func (o *logsOptions) completePods(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, t := range o.known() {
		switch {
		case !o.inNamespace(t):
		case len(args) == 0:
			names = append(names, t.pod)
		case len(args) == 1 && t.pod == args[0]: // POD [CONTAINER]
			names = append(names, t.container)
		}
	}
	return proposals(names)
}

func (o *logsOptions) completeContainers(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, t := range o.known() {
		if o.inNamespace(t) && (len(args) == 0 || t.pod == args[0]) {
			names = append(names, t.container)
		}
	}
	return proposals(names)
}

func (o *logsOptions) completeNamespaces(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, t := range o.known() {
		names = append(names, t.namespace)
	}
	return proposals(names)
}

func proposals(names []string) ([]string, cobra.ShellCompDirective) {
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}
