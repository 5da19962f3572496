package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// deadline bounds every wait of these tests: generous, since timing never decides a test.
const deadline = 5 * time.Minute

var built struct {
	once sync.Once
	dir  string
	err  error
}

// TestMain removes the program that the tests built.
func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// braid returns the path of the program, built once with the crash points in it.
func braid(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		built.dir, built.err = os.MkdirTemp("", "braid-e2e")
		if built.err != nil {
			return
		}
		args := []string{"build", "-tags", "crashpoints", "-o", filepath.Join(built.dir, "braid")}
		if os.Getenv("BRAID_TEST_RACE") != "" { // GORACE says where it reports to
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, ".")...)
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("cannot build braid: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "braid")
}

// A process is one braid that a test runs.
type process struct {
	cmd  *exec.Cmd
	out  *syncBuffer
	done chan struct{} // closed when it has exited
	err  error         // of Wait, valid after done
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs braid with args; crash is a crash point (see disk.Point) or "".
func start(t testing.TB, crash string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(braid(t), args...), out: &syncBuffer{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = append(os.Environ(), "BRAID_CRASH="+crash)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop sends SIGTERM and waits for a clean exit.
func (p *process) stop(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("%v ended with %v:\n%s", p.cmd.Args[1:], p.err, p.tail())
		}
	case <-time.After(deadline):
		t.Errorf("%v does not stop:\n%s", p.cmd.Args[1:], p.tail())
	}
}

func (p *process) tail() string {
	s := p.out.String()
	return s[max(0, len(s)-4000):]
}

// eventually polls until ok says true; what describes the hope.
func eventually(t testing.TB, what string, ok func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ok()
		if done {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v; last: %v", what, deadline, err)
		case <-tick.C:
		}
	}
}

// get returns the body of a GET that is answered with 200.
func get(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %.300s", url, resp.Status, body)
	}
	return string(body), nil
}

// waitReady waits until p answers /-/ready on the web address; it fails the test when p exits first.
func (p *process) waitReady(t testing.TB, web string) {
	t.Helper()
	eventually(t, "ready at "+web, func() (bool, error) {
		if p.exited() {
			t.Fatalf("%v exited: %v\n%s", p.cmd.Args[1:], p.err, p.tail())
		}
		_, err := get("http://" + web + "/-/ready")
		return err == nil, errors.Join(err, errors.New(p.tail()))
	})
}

// freeAddresses returns n loopback addresses that nobody listens on. They lie below the range that the kernel takes
// ports of outgoing connections from, so that nobody takes one while a process that is to use it again is down.
func freeAddresses(t testing.TB, n int) []string {
	t.Helper()
	var addresses []string
	for tries := 0; len(addresses) < n; tries++ {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(7_000)))
		if err != nil && tries > 1000 {
			t.Fatal(err)
		}
		if err == nil {
			defer ln.Close()
			addresses = append(addresses, ln.Addr().String())
		}
	}
	return addresses
}

// writeFile writes a file below the test's directory and returns its path.
func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// metric returns the sum of the samples of name on a /metrics page whose line contains every one of parts.
func metric(page, name string, parts ...string) float64 {
	sum := 0.0
lines:
	for line := range strings.SplitSeq(page, "\n") {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		for _, part := range parts {
			if !strings.Contains(rest, part) {
				continue lines
			}
		}
		var v float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v); err == nil {
			sum += v
		}
	}
	return sum
}

// pipeline is one agent and one aggregator on free loopback ports, over directories of a test.
type pipelineUnderTest struct {
	dir, logs                     string
	agentWeb, aggregatorWeb       string
	agentHTTP, aggregatorHTTP     string
	agentConfig, aggregatorConfig string
}

// newPipeline writes the configurations; exporters is the aggregator's exporters section.
func newPipeline(t testing.TB, logs, exporters string) *pipelineUnderTest {
	t.Helper()
	dir := t.TempDir()
	a := freeAddresses(t, 4)
	p := &pipelineUnderTest{dir: dir, logs: logs, agentWeb: a[0], aggregatorWeb: a[1], agentHTTP: a[2], aggregatorHTTP: a[3]}
	p.agentConfig = writeFile(t, filepath.Join(dir, "agent.yaml"), fmt.Sprintf(`cluster: test
node: node-1
data_dir: %s
aggregator: {url: "http://%s"}
logs:
  - path: %s
receivers: {http: "%s"}
web: {listen: "%s"}
`, filepath.Join(dir, "agent"), a[3], logs, a[2], a[0]))
	p.aggregatorConfig = writeFile(t, filepath.Join(dir, "aggregator.yaml"), fmt.Sprintf(`cluster: test
data_dir: %s
receivers: {http: "%s"}
web: {listen: "%s"}
exporters:
%s`, filepath.Join(dir, "aggregator"), a[3], a[1], exporters))
	return p
}

func (p *pipelineUnderTest) startAgent(t testing.TB, crash string) *process {
	t.Helper()
	return start(t, crash, "agent", "--config.file", p.agentConfig)
}

func (p *pipelineUnderTest) startAggregator(t testing.TB, crash string) *process {
	t.Helper()
	return start(t, crash, "aggregator", "--config.file", p.aggregatorConfig)
}
