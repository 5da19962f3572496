package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// braid returns the program: $BRAID_BIN, which make test has just built, or one that is built here.
func braid(t *testing.T) string {
	t.Helper()
	if file := os.Getenv("BRAID_BIN"); file != "" {
		return file
	}
	file := filepath.Join(t.TempDir(), "braid")
	build := exec.Command("go", "build", "-o", file, "./cmd/braid")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build braid: %v\n%s", err, out)
	}
	return file
}

// check runs braid check on text with exactly the environment that is given.
func check(t *testing.T, braid, text string, env ...string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(braid, "check", file)
	cmd.Env = append([]string{"HOME=/"}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s%s", out, text)
	}
	return err
}

// environment is a container's, with some value for each variable.
func environment(c corev1.Container) []string {
	var env []string
	for _, e := range c.Env {
		env = append(env, e.Name+"=any")
	}
	return env
}

func TestConfigurationsPassBraidCheck(t *testing.T) {
	program := braid(t)
	eachSet(t, func(t *testing.T, set, _ string) {
		o, checked := readSet(t, set), 0
		for _, w := range o.workloads {
			for _, c := range w.containers() {
				file := configFile(c)
				if file == "" {
					continue
				}
				text, _ := o.configText(w, c, file)
				if err := check(t, program, text, environment(c)...); err != nil {
					t.Errorf("%s: container %s: %v", w.name, c.Name, err)
				}
				// braid-agent has no discovery at the API server.
				small := strings.Contains(c.Image, "braid-agent:")
				if discovers := strings.Contains(text, "kubernetes_sd_configs"); c.Name == "agent" && small == discovers {
					t.Errorf("%s runs the image %s; discovery at the API server: %t", w.name, c.Image, discovers)
				}
				checked++
			}
		}
		if checked != 2 {
			t.Errorf("%d configurations, two are expected", checked)
		}
	})
	for _, file := range []string{"compose/agent.yaml", "compose/aggregator.yaml", "systemd/agent.yaml", "systemd/aggregator.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(t, program, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if check(t, program, "data_dir: /d\naggregator: {url: http://a}\nlogs: [{path: /l}]\nnode: ${NODE_NAME}\n") == nil {
		t.Error("a variable that the pod does not have passes")
	}
}
