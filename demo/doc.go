// Package demo runs braid as a whole on one machine: a shop of five services, the node they run on, an agent and an
// aggregator, each a process of its own, and reckons at the end whether anything got lost.
//
// Nouns: a site is the directory with every configuration, log, ledger and data of one run, and the ports it uses. The
// load is the shop's customers. The announcement is what is printed once all is up. A [process] is a child that does
// not outlive the demo. Rooms within: demo/shop (the services), demo/node (container runtime and kubelet),
// demo/ledger (what was really written), demo/reckon (what came of it).
//
// In: the path of a braid executable, and for how long. Out: a table and commands to try; at the end a report and, if a
// promise is broken, an error.
//
// It uses braid only from outside, as anyone could: by its command line, its configuration files and its HTTP APIs.
package demo
