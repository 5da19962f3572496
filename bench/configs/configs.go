package configs

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed *.yaml
var files embed.FS

// Values are what differs from run to run. Addresses are host:port, durations in the words of Prometheus.
type Values struct {
	Dir      string   // of the system's own, empty
	Sink     string   // base URL
	Codec    string   // of OTLP bodies: gzip, zstd or none
	Pods     string   // stands for /var/log/pods
	Receive  string   // where the system takes OTLP/HTTP
	Web      string   // for its /debug/pprof
	Targets  []string // to scrape
	Interval string   // between scrapes
	Timeout  string   // of a scrape
}

// Write writes the configuration called name into v.Dir and returns its path.
func Write(name string, v Values) (string, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(files, name)
	if err != nil {
		return "", fmt.Errorf("cannot read the configuration %s: %w", name, err)
	}
	path := filepath.Join(v.Dir, name)
	f, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("cannot write a configuration: %w", err)
	}
	if err := t.Execute(f, v); err != nil {
		_ = f.Close()
		return "", fmt.Errorf("cannot write the configuration %s: %w", name, err)
	}
	return path, f.Close()
}
