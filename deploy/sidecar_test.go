package deploy

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The sidecar's application writes its lines in CRI's form with a shell and awk. braid reads all of them back, over the
// turn of the file.
func TestWhatTheSidecarsApplicationWritesIsRead(t *testing.T) {
	program := braid(t)
	o, dir := readSet(t, "sidecar"), t.TempDir()
	script := o.workload(t, "Deployment shop").pod.Spec.Containers[0].Args[0]
	awk := filepath.Join(dir, "cri.awk")
	lines := filepath.Join(dir, "lines")
	logs := filepath.Join(dir, "pods", "braid_shop-0_0a1b2c3d-0000-0000-0000-000000000000", "shop")
	var want strings.Builder
	for i := range 90_000 { // a little over the 8 MiB of one file
		fmt.Fprintf(&want, "level=info seq=%d msg=\"%s\"\n", i, strings.Repeat("braid ", 10))
	}
	for file, text := range map[string]string{awk: o.configs["shop-braid"]["cri.awk"], lines: want.String()} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before, after, found := strings.Cut(script, "exec sh -c '")
	_, redirected, ended := strings.Cut(after, "done'")
	if !found || !ended {
		t.Fatalf("the script has changed:\n%s", script)
	}
	script = strings.ReplaceAll(before, "/etc/braid/cri.awk", awk) + "exec cat " + lines + redirected
	if path, err := exec.LookPath("busybox"); err == nil { // the image's own awk
		script = strings.ReplaceAll(script, "UTC awk", "UTC "+path+" awk")
	}
	write := exec.Command("sh", "-c", script)
	write.Env = append(os.Environ(), "LOGS="+logs)
	if out, err := write.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s\n%s", err, out, script)
	}
	if rotated, err := filepath.Glob(filepath.Join(logs, "0.log.*")); err != nil || len(rotated) != 1 {
		t.Errorf("the file was not turned over: %v, %v", rotated, err)
	}
	read := exec.Command(program, "logs", "shop-0", "-n", "braid", "--path", filepath.Join(dir, "pods"))
	var stdout, stderr bytes.Buffer
	read.Stdout, read.Stderr = &stdout, &stderr
	if err := read.Run(); err != nil || stdout.String() != want.String() {
		t.Errorf("%d bytes were written, %d are read (%v): %s", want.Len(), stdout.Len(), err, stderr.String())
	}
}
