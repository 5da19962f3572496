// Command generate, run in the directory deploy, renders every value set into manifests/ and copies dashboards and alerts
// into the chart.
package main

import (
	"log"

	"github.com/braidhq/braid/deploy"
)

func main() {
	log.SetFlags(0)
	if err := deploy.Generate(".", ".."); err != nil {
		log.Fatalf("cannot generate: %v", err)
	}
}
