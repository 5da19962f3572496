package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verify asks systemd what it thinks of a unit. Its program is replaced by one that every machine has.
func verify(t *testing.T, unit, text string) string {
	t.Helper()
	dir := t.TempDir()
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "ExecStart=") {
			lines[i] = "ExecStart=/bin/true"
		}
	}
	file := filepath.Join(dir, unit)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput()
	if err != nil {
		return string(out) + err.Error()
	}
	if exposed, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", file).CombinedOutput(); err != nil {
		return string(out) + string(exposed) + err.Error()
	}
	return string(out)
}

func unit(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSystemdAcceptsTheUnits(t *testing.T) {
	for _, name := range []string{"braid-agent.service", "braid-aggregator.service"} {
		if said := verify(t, name, unit(t, name)); said != "" {
			t.Errorf("%s: %s", name, said)
		}
	}
	agent := unit(t, "braid-agent.service")
	withDocker := agent + "\n" + unit(t, "braid-agent.service.d/docker.conf")
	if said := verify(t, "braid-agent.service", withDocker); said != "" {
		t.Errorf("with docker.conf: %s", said)
	}
	for _, broken := range []struct{ old, with, want string }{
		{"StateDirectoryMode=0750", "StateDirectoryModes=0750", "StateDirectoryModes"},
		{"MemoryMax=256M", "MemoryMax=lots", "memory limit"},
		{"CapabilityBoundingSet=\n", "", "Overall exposure"},
	} {
		if said := verify(t, "braid-agent.service", replaceOnce(t, agent, broken.old, broken.with)); !strings.Contains(said, broken.want) {
			t.Errorf("%s passes: %s", broken.with, said)
		}
	}
}
