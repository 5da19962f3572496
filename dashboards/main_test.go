package dashboards_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/braidhq/braid/demo"
	"github.com/braidhq/braid/testbed"
)

// The test binary stands in the demo where braid does. It gives the aggregator an Elasticsearch beside the demo's own
// store and becomes braid.
const (
	envBraid    = "BRAID_DASHBOARDS_BRAID"
	envExporter = "BRAID_DASHBOARDS_EXPORTER" // as YAML
)

func TestMain(m *testing.M) {
	if braid := os.Getenv(envBraid); braid != "" {
		fmt.Fprintln(os.Stderr, become(braid, os.Args[1:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func become(braid string, args []string) error {
	if len(args) == 3 && args[0] == "aggregator" {
		if err := amend(args[2]); err != nil {
			return err
		}
	}
	return syscall.Exec(braid, append([]string{braid}, args...), os.Environ())
}

// amend adds envExporter to a configuration.
func amend(file string) error {
	var config, exporter map[string]any
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := errors.Join(yaml.Unmarshal(text, &config), yaml.Unmarshal([]byte(os.Getenv(envExporter)), &exporter)); err != nil {
		return err
	}
	exporters, _ := config["exporters"].([]any)
	config["exporters"] = append(exporters, exporter)
	if text, err = yaml.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// deadline bounds every wait of these tests: generous, since timing never decides a test.
const deadline = 4 * time.Minute

// A site is a demo that runs until its test is over.
type site struct {
	api    string // of the aggregator
	es     string // of Elasticsearch
	stream string // of the lines there
}

// open builds braid, starts the demo, and waits until it is announced.
func open(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	braid, kept := filepath.Join(dir, "braid"), filepath.Join(dir, "demo")
	run(t, "..", "go", "build", "-o", braid, "./cmd/braid")
	s := &site{es: testbed.Elasticsearch(t), stream: "logs-" + testbed.Name("dashboards")}
	t.Setenv(envBraid, braid)
	t.Setenv(envExporter, fmt.Sprintf(
		"{name: es, elasticsearch: {urls: [%q], logs_data_stream: %s, traces_data_stream: %s-traces, dead_letter_data_stream: %s-dead}}",
		s.es, s.stream, s.stream, s.stream))
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said, saying := io.Pipe()
	ended, stop := make(chan error, 1), make(chan struct{})
	go func() {
		err := demo.Run(context.Background(), stop, demo.Options{
			Executable: executable, Keep: kept, Rate: 30, Seed: 1, Patience: time.Minute, Stdout: saying, Stderr: os.Stderr,
		})
		saying.Close()
		ended <- err
	}()
	t.Cleanup(func() {
		close(stop)
		go func() { _, _ = io.Copy(io.Discard, said) }()
		if err := <-ended; err != nil {
			t.Errorf("the demo: %v", err)
		}
		forget(s)
	})
	s.api = announced(t, said)
	return s
}

// announced reads what the demo says to its end, and returns where it says that the aggregator is.
func announced(t *testing.T, said io.Reader) string {
	t.Helper()
	var text strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := said.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			t.Fatalf("the demo has ended: %s", text.String())
		}
		if strings.Contains(text.String(), "Ctrl-C ends the demo.") {
			break
		}
	}
	for line := range strings.SplitSeq(text.String(), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "aggregator" {
			return fields[1]
		}
	}
	t.Fatalf("the demo does not say where its aggregator is: %s", text.String())
	return ""
}

// forget deletes what the test has put into Elasticsearch.
func forget(s *site) {
	for _, path := range []string{"/_data_stream/" + s.stream + "*", "/_index_template/braid-" + s.stream + "*"} {
		if req, err := http.NewRequest(http.MethodDelete, s.es+path, http.NoBody); err == nil {
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}
	}
}

var client = &http.Client{Timeout: time.Minute}

// get asks for JSON.
func get(t *testing.T, address string, parameters url.Values, into any) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"?"+parameters.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	return ask(req, into)
}

func ask(req *http.Request, into any) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %.300s", req.URL.Path, resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// eventually makes every attempt until it has succeeded once; those that do not say why.
func eventually(t *testing.T, attempts map[string]func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		failed := map[string]error{}
		for name, try := range attempts {
			if failed[name] = try(); failed[name] == nil {
				delete(attempts, name)
			}
		}
		if len(attempts) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			for name := range attempts {
				t.Errorf("%s: %v", name, failed[name])
			}
			return
		}
	}
}
