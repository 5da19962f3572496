//go:build image && linux

package deploy

import (
	"bufio"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A root is an image's tree as a container runtime lays it out, and who runs in it.
type root struct {
	dir, uid, gid string
	entrypoint    string
}

// buildImage runs the build command of a Dockerfile and lays out what its last stage copies.
func buildImage(t *testing.T, file string) root {
	t.Helper()
	i, err := readDockerfile(file)
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	out := filepath.Join(work, "out")
	build := exec.Command("sh", "-c", strings.ReplaceAll(i.build, "/out/", out+"/"))
	build.Dir = ".."
	build.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=test")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", i.build, err, text)
	}
	r := root{dir: filepath.Join(work, "root"), entrypoint: i.entrypoint[0]}
	r.uid, r.gid, _ = strings.Cut(i.user, ":")
	for to, c := range i.copies {
		target := filepath.Join(r.dir, to)
		switch {
		case strings.HasPrefix(c.from, "/out/") && c.from != "/out/data":
			must(t, os.MkdirAll(filepath.Dir(target), 0o755))
			must(t, os.Rename(filepath.Join(out, filepath.Base(c.from)), target))
			staticOnly(t, target)
		default:
			must(t, os.MkdirAll(filepath.Dir(target), 0o755)) // data directories and certificates are mounted or not needed here
		}
	}
	for _, dir := range []string{"etc/braid", "var/lib/braid", "var/lib/braid-agent", "var/log/pods"} {
		must(t, os.MkdirAll(filepath.Join(r.dir, dir), 0o755))
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func staticOnly(t *testing.T, file string) {
	t.Helper()
	program, err := elf.Open(file)
	must(t, err)
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			t.Fatalf("%s needs a dynamic linker, which scratch does not have", file)
		}
	}
}

// run starts the image's program as its user with no capability on a read-only tree, mounts (path in the image: directory
// of this machine; ":ro" after it) as a kubelet would.
func (r root) run(t *testing.T, mounts map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	script := fmt.Sprintf("set -e; mount --bind %[1]s %[1]s; mount -o remount,bind,ro %[1]s\n", r.dir)
	for in, from := range mounts {
		from, readOnly := strings.CutSuffix(from, ":ro")
		script += fmt.Sprintf("mount --bind %s %s%s\n", from, r.dir, in)
		if readOnly {
			script += fmt.Sprintf("mount -o remount,bind,ro %s%s\n", r.dir, in)
		}
	}
	script += fmt.Sprintf("exec unshare --root=%s --setgid=%s --setuid=%s %s %s", r.dir, r.gid, r.uid, r.entrypoint, strings.Join(args, " "))
	cmd := exec.Command("unshare", "--mount", "--propagation=private", "sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = []string{"NODE_NAME=node-1"}
	cmd.Stderr = &testLog{t: t, name: filepath.Base(r.entrypoint)}
	return cmd
}

type testLog struct {
	t    *testing.T
	name string
}

func (l *testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s: %s", l.name, strings.TrimSpace(string(p)))
	return len(p), nil
}

func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func writeFile(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o750))
	must(t, os.WriteFile(file, []byte(text), mode))
	must(t, os.Chmod(file, mode))
}

func awaitReady(t *testing.T, web string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := http.Get("http://" + web + "/-/ready")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not get ready: %v", web, err)
		case <-tick.C:
		}
	}
}

// A line that a kubelet's tree holds, as 0640 root:root in directories 0750, comes out of the aggregator: both images run
// on read-only trees as the users that they name.
func TestImagesRunWithoutRootOnAReadOnlyTree(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("laying out trees for other users takes root")
	}
	agent, all := buildImage(t, "docker/braid-agent.Dockerfile"), buildImage(t, "docker/braid.Dockerfile")
	work := t.TempDir()
	receiver, web, agentWeb := freeAddress(t), freeAddress(t), freeAddress(t)

	pods := filepath.Join(work, "pods")
	writeFile(t, filepath.Join(pods, "shop_cart-0_0a1b2c3d-0000-0000-0000-000000000000/cart/0.log"),
		"2026-11-20T23:46:18.243493665Z stdout F read by uid 65534, gid 0\n", 0o640)
	must(t, os.Chmod(pods, 0o750))

	config := filepath.Join(work, "config")
	writeFile(t, filepath.Join(config, "agent.yaml"), "node: ${NODE_NAME}\ndata_dir: /var/lib/braid-agent\naggregator: {url: \"http://"+receiver+
		"\"}\nlogs: [{path: /var/log/pods}]\nweb: {listen: \""+agentWeb+"\"}\n", 0o644)
	writeFile(t, filepath.Join(config, "aggregator.yaml"), "data_dir: /var/lib/braid\nreceivers: {http: \""+receiver+
		"\"}\nexporters: [{name: local, store: {}}]\nweb: {listen: \""+web+"\"}\n", 0o644)
	must(t, os.Chmod(config, 0o755))

	// What kubelet does for an fsGroup.
	aggregatorData := filepath.Join(work, "aggregator")
	must(t, os.Mkdir(aggregatorData, 0o770))
	must(t, os.Chown(aggregatorData, 0, 65534))
	must(t, os.Chmod(aggregatorData, 0o770))

	// What it makes of a hostPath, and what the init container makes of that: root, without one capability.
	agentData := filepath.Join(work, "agent")
	must(t, os.Mkdir(agentData, 0o755))
	prepare := exec.Command("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs",
		filepath.Join(agent.dir, agent.entrypoint), "prepare", agentData)
	if out, err := prepare.CombinedOutput(); err != nil {
		t.Fatalf("prepare: %v\n%s", err, out)
	}

	start(t, all.run(t, map[string]string{"/etc/braid": config + ":ro", "/var/lib/braid": aggregatorData},
		"aggregator", "--config.file=/etc/braid/aggregator.yaml"))
	awaitReady(t, web)
	start(t, agent.run(t, map[string]string{"/etc/braid": config + ":ro", "/var/log/pods": pods + ":ro", "/var/lib/braid-agent": agentData},
		"--config.file=/etc/braid/agent.yaml"))
	awaitReady(t, agentWeb)

	follow := all.run(t, nil, "logs", "-A", "-f", "--server", "http://"+web)
	lines, err := follow.StdoutPipe()
	must(t, err)
	start(t, follow)
	line, err := bufio.NewReader(lines).ReadString('\n')
	if err != nil || !strings.Contains(line, "read by uid 65534, gid 0") {
		t.Errorf("%q came out (%v)", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
}
