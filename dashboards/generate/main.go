// Command generate writes the dashboards as Grafana's JSON. The checked-in files are what Grafana reads; a test holds that
// they are current.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := flag.String("dir", "grafana", "directory to write to")
	flag.Parse()
	for name, text := range files() {
		if err := os.WriteFile(filepath.Join(*dir, name), text, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// files returns the text of every dashboard by the name of its file.
func files() map[string][]byte {
	all := map[string][]byte{}
	for name, d := range map[string]dashboard{
		"overview.json": overview(), "workload.json": workload(), "explore.json": explore(),
		"pipeline.json": pipeline(), "scrape.json": scrape(),
	} {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(d.grafana()); err != nil {
			panic("BUG: a dashboard does not marshal: " + err.Error())
		}
		all[name] = text.Bytes()
	}
	return all
}
