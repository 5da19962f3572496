// Package kube is the control plane's room: which pods there are, what owns them and what state their containers are
// in. No log line, sample or span passes through it.
//
// Nouns: [Pods] is what the API server listed at one moment (today read from a file, `kubectl get pods -o json`).
// A [Pod] has [Container]s in the order in which kubectl prints them, and [Owner]s. An [Error] is what the API server
// or the kubelet would have answered, in their own words, so that scripts which match kubectl's messages keep working.
//
// A [Reviewer] asks the API server whose a token is and who may read what. [Transport] sends requests with the credentials
// of a kubeconfig.
//
// In: JSON of a Pod, a PodList or a List. Out: pods chosen by name, owner or label, and for each container the attempt
// whose log kubectl would print; identities, and yes or no.
//
// It never reads a log, and only a [Reviewer] talks to a cluster. What is said of pods is as old as its input, what is said
// of rights half a minute at most.
package kube
