package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v2" // the decoder that Prometheus' own types are strict with
	yaml3 "go.yaml.in/yaml/v3"
)

// expandSet replaces the ${NAME} that are set and leaves the others alone.
func expandSet(text string) string {
	return envName.ReplaceAllStringFunc(text, func(ref string) string {
		if value, ok := os.LookupEnv(ref[2 : len(ref)-1]); ok {
			return value
		}
		return ref
	})
}

// prometheusConfig reads the sections global and scrape_configs of text with Prometheus' own reader. All other lines
// are blanked rather than cut, so that the lines in its errors are the file's.
func prometheusConfig(file string, text []byte, root *yaml3.Node, p *Problems) *promconfig.Config {
	lines := strings.Split(string(text), "\n")
	keep := make([]bool, len(lines)+1)
	for i := 0; i+1 < len(root.Content); i += 2 {
		if name := root.Content[i].Value; name != "scrape_configs" && name != "global" {
			continue
		}
		end := len(lines) + 1
		if i+2 < len(root.Content) {
			end = root.Content[i+2].Line
		}
		for line := root.Content[i].Line; line < end; line++ {
			keep[line-1] = true
		}
	}
	for i := range lines {
		if !keep[i] {
			lines[i] = ""
		}
	}
	cfg, err := promconfig.Load(expandSet(strings.Join(lines, "\n")), slog.New(slog.DiscardHandler))
	if err != nil {
		p.addYAML(err, 0, lineOf(root, "scrape_configs"))
		return nil
	}
	cfg.SetDirectory(filepath.Dir(file))
	return cfg
}

// remoteWrite reads one remote_write mapping with Prometheus' own reader.
func remoteWrite(file string, n *yaml3.Node, p *Problems) *promconfig.RemoteWriteConfig {
	text, err := yaml3.Marshal(n)
	if err != nil {
		p.add(n.Line, "%v", err)
		return nil
	}
	cfg := &promconfig.RemoteWriteConfig{}
	if err := yaml.UnmarshalStrict([]byte(expandSet(string(text))), cfg); err != nil {
		p.addYAML(err, n.Line-1, n.Line)
		return nil
	}
	cfg.SetDirectory(filepath.Dir(file))
	return cfg
}
