// Package config reads braid's two YAML files, the agent's ([LoadAgent]) and the aggregator's ([LoadAggregator]).
//
// Keys are strict, every error of a file is reported at once with its line, ${NAME} is replaced by the environment in
// every scalar, and secrets come from files. The sections scrape_configs, global and remote_write are Prometheus' own
// and are read by Prometheus' own code; in these a ${NAME} that is not set stays as it is, since relabelling has a use
// for the same characters.
//
// The package decides defaults and refuses what cannot work. It opens nothing and starts nothing.
package config

//go:generate go run ./generate -root ..
