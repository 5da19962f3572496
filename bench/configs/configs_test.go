package configs

import (
	"bytes"
	"os"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/braidhq/braid/config"
)

// Every configuration is YAML, and braid's are what braid takes.
func TestConfigurations(t *testing.T) {
	entries, err := files.ReadDir(".")
	if err != nil || len(entries) < 9 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		v := Values{
			Dir: t.TempDir(), Sink: "http://127.0.0.1:1", Codec: "gzip", Pods: "/pods", Receive: "127.0.0.1:2", Web: "127.0.0.1:3",
			Targets: []string{"127.0.0.1:4", "127.0.0.1:5"}, Interval: "5s", Timeout: "4s",
		}
		path, err := Write(e.Name(), v)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var any map[string]any
		if err := yaml.Unmarshal(text, &any); err != nil || len(any) == 0 {
			t.Errorf("%s is no YAML: %v", e.Name(), err)
		}
		switch {
		case !bytes.HasPrefix([]byte(e.Name()), []byte("braid-")):
		case config.IsAggregator(text):
			_, err = config.LoadAggregator(path)
		default:
			_, err = config.LoadAgent(path)
		}
		if err != nil {
			t.Errorf("braid refuses %s: %v", e.Name(), err)
		}
	}
}
