// Command braid-agent is the node agent alone, for nodes where weight counts. `braid agent` is the same agent with the
// whole of Prometheus' service discovery.
package main

import (
	"os"

	"github.com/braidhq/braid/cmd/internal/agent"
)

// version is set at link time.
var version = "unknown"

func main() {
	cmd := agent.NewCommand("braid-agent", version)
	cmd.Version = version
	if err := cmd.Execute(); err != nil {
		os.Exit(1)
	}
}
