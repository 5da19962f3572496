package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/prometheus/prometheus/discovery/file" // so that Prometheus' reader knows file_sd_configs
	"go.yaml.in/yaml/v3"
)

// Whole configurations in the documentation are taken by the reader that users run; parts of one, named by their first
// line, have no key that it does not know.
func TestConfigurationsInTheDocumentationAreTaken(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	whole, parts := 0, 0
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range yamlBlocks(string(text)) {
			name := filepath.Base(file) + ", block after line"
			switch {
			case isWhole(b.text):
				whole++
				if err := parseEither(b.text, IsAggregator([]byte(b.text))); err != nil {
					t.Errorf("%s %d: %v", name, b.line, err)
				}
			case strings.HasPrefix(b.text, "# agent.yaml") || strings.HasPrefix(b.text, "# aggregator.yaml"):
				parts++
				for _, p := range unknownKeys(parseEither(b.text, strings.HasPrefix(b.text, "# aggregator.yaml"))) {
					t.Errorf("%s %d: %s", name, b.line, p.Text)
				}
			}
		}
	}
	if whole < 10 || parts < 2 {
		t.Errorf("found %d configurations and %d parts: not looking at all of the documentation", whole, parts)
	}
}

type block struct {
	line int // of the opening fence
	text string
}

// yamlBlocks returns what stands between fences of the language yaml, as deep as they are indented.
func yamlBlocks(text string) (blocks []block) {
	var b *block
	indent := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case b == nil && trimmed == "```yaml":
			b, indent = &block{line: i + 1}, line[:len(line)-len(trimmed)]
		case b != nil && strings.HasPrefix(trimmed, "```"):
			blocks, b = append(blocks, *b), nil
		case b != nil:
			b.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	return blocks
}

func isWhole(text string) bool {
	var keys map[string]any
	return yaml.Unmarshal([]byte(text), &keys) == nil && keys["data_dir"] != nil
}

func parseEither(text string, aggregator bool) (err error) {
	if aggregator {
		_, err = ParseAggregator("a.yaml", []byte(text))
	} else {
		_, err = ParseAgent("a.yaml", []byte(text))
	}
	return err
}

// unknownKeys leaves those problems out that come from what a part has not.
func unknownKeys(err error) []Problem {
	var p *Problems
	if !errors.As(err, &p) {
		return nil
	}
	return slices.DeleteFunc(p.List, func(p Problem) bool { return !strings.Contains(p.Text, "unknown key") })
}

func TestBlocksOfADocument(t *testing.T) {
	got := yamlBlocks("a\n```yaml\ndata_dir: /x\n```\n```sh\nb\n```\n1. c\n   ```yaml\n   logs:\n     - d\n   ```\n")
	want := []block{{2, "data_dir: /x\n"}, {9, "logs:\n  - d\n"}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
