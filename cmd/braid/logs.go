package main

import (
	"github.com/spf13/cobra"
)

const logsUsage = "logs [-f] [-p] [POD | TYPE/NAME] [-c CONTAINER]"

const logsLong = `Print the lines of a container, of several, or of all pods of a namespace.

The flags are kubectl's, and mean what they mean in "kubectl logs". Lines come from an aggregator (--server), or
straight from a log tree (--path), where --pods stands for the API server:

  kubectl get pods -A -o json > pods.json
  braid logs --path /var/log/pods --pods pods.json -n shop deploy/cart

Unlike kubectl, braid reads the rotated files of an attempt too, also compressed ones; -f goes on over rotations and
restarts; and without POD and -l every pod of the namespace is meant, each line with its prefix.`

const logsExample = `  # Lines of the pod cart-0, from the aggregator
  braid logs cart-0 -n shop

  # Stream the errors of everything in the namespace shop
  braid logs -f -n shop -i 'level=error|"level":"error"'

  # The last 20 lines of each pod with the label app=cart, with prefix and time
  braid logs -n shop -l app=cart --prefix --timestamps --tail=20 --path /var/log/pods --pods pods.json

  # Why did it crash? The previous attempt of the container web
  braid logs -p -c web cart-0 --path /var/log/pods

  # The last hour of one pod of a deployment, all containers
  braid logs deployment/cart --all-containers --since=1h --path /var/log/pods --pods pods.json

  # Every line of one trace, in all namespaces, as JSON
  braid logs -A --trace 4bf92f3577b34da6a3ce929d0e0e4736 -o json`

func newLogsCommand() *cobra.Command {
	o := &logsOptions{}
	cmd := &cobra.Command{
		Use:                   logsUsage,
		Short:                 "Print or stream log lines, as kubectl logs does",
		Long:                  logsLong,
		Example:               logsExample,
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		ValidArgsFunction:     o.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerb(cmd, func() error { return o.run(cmd, args) })
		},
	}
	o.flags(cmd)
	cmd.SetFlagErrorFunc(flagError)
	return cmd
}

func (o *logsOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "stream the lines")
	f.BoolVarP(&o.previous, "previous", "p", false, "print the previous attempt of the container, if there was one")
	f.StringVarP(&o.namespace, "namespace", "n", "default", "namespace of the pods")
	f.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "look into all namespaces")
	f.StringVarP(&o.selector, "selector", "l", "", "label selector (-l key=value,key!=value,key in (a,b)); needs --pods")
	f.StringVarP(&o.container, "container", "c", "", "print the lines of this container")
	f.BoolVar(&o.allContainers, "all-containers", false, "print the lines of all containers of the pods")
	f.BoolVar(&o.allPods, "all-pods", false, "print the lines of all pods of TYPE/NAME; sets --prefix")
	f.DurationVar(&o.since, "since", 0, "only lines newer than a duration like 5s, 2m or 3h; not with --since-time")
	f.StringVar(&o.sinceTime, "since-time", "", "only lines after a time (RFC 3339); not with --since")
	f.Int64Var(&o.tail, "tail", -1, "only so many last lines of each container; -1 is all, and the default is 10 with -l or without POD")
	f.BoolVar(&o.timestamps, "timestamps", false, "put the time before each line")
	f.BoolVar(&o.prefix, "prefix", false, "put [pod/NAME/CONTAINER] before each line")
	f.Int64Var(&o.limitBytes, "limit-bytes", 0, "print at most so many bytes of each container; 0 is no limit")
	f.BoolVar(&o.ignoreErrors, "ignore-errors", false, "go on with the other containers when one has no log to show")
	f.IntVar(&o.maxRequests, "max-log-requests", 5, "how many containers may be followed at once with POD or -l; does not matter with --server")
	f.StringArrayVarP(&o.include, "include", "i", nil, "only lines that match this regular expression; any one of them if it is given several times")
	f.StringArrayVarP(&o.exclude, "exclude", "e", nil, "no lines that match this regular expression")
	f.StringVar(&o.trace, "trace", "", "only lines that carry this trace id")
	f.StringVarP(&o.output, "output", "o", "raw", "raw: the lines as they were written; json: one object a line")
	f.StringVar(&o.color, "color", "auto", "auto (on a terminal), always or never")
	f.StringVar(&o.path, "path", "", "read this log tree (/var/log/pods) instead of asking a server")
	f.StringVar(&o.podsFile, "pods", "", "the pods, as kubectl get pods -o json prints them")
	o.register(cmd)
	_ = cmd.MarkFlagDirname("path")
	_ = cmd.MarkFlagFilename("pods", "json")
	for name, values := range map[string][]string{"output": {"raw", "json"}, "color": {"auto", "always", "never"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = cmd.RegisterFlagCompletionFunc("container", o.completeContainers)
	_ = cmd.RegisterFlagCompletionFunc("namespace", o.completeNamespaces)
}
