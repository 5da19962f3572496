// Package deploy renders the Helm chart and checks what comes out; the directory around it is what users deploy braid with.
//
// Nouns: a set is a file of helm/values, its manifest the chart rendered with it (manifests/SET.yaml, for those who do
// not use Helm). A [Schema] is a Kubernetes version's, or an operator's, own description of its kinds (schemas/, made by
// cmd/schemas).
//
// In come the chart and a set, through Helm's own engine; out goes text as "helm template" prints it. A module of its own,
// so that nothing of Helm is in braid's go.mod. It never talks to a cluster or a registry.
package deploy
