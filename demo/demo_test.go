package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/braidhq/braid/demo/reckon"
	"github.com/braidhq/braid/demo/shop"
)

// The test binary is every process of the demo: the services are the real ones; agent and aggregator are empty shells,
// because what is tested here is the demo. Run against the real ones is what `braid demo` does.
func TestMain(m *testing.M) {
	switch args := os.Args[1:]; {
	case len(args) == 5 && args[0] == "demo" && args[1] == "service":
		runService(args[2], args[4])
	case len(args) == 3 && args[1] == "--config.file":
		runShell(args[0], args[2])
	default:
		os.Exit(m.Run())
	}
}

func runService(name, topology string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	t, err := shop.ReadTopology(topology)
	if err == nil {
		err = shop.Run(ctx, t, name, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runShell answers on the listeners of a configuration, takes everything and stores nothing. How it misbehaves stands
// in the environment: AILMENT=agent:dies, for example.
func runShell(verb, config string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ailment, _ := strings.CutPrefix(os.Getenv("AILMENT"), verb+":")
	fmt.Printf("%s: the last words\n", verb)
	if ailment == "dies" {
		os.Exit(3)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case ailment == "never ready" && r.URL.Path == "/-/ready":
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/api/v1/query_exemplars":
			fmt.Fprint(w, `{"status":"success","data":[]}`)
		case r.URL.Path == "/api/v1/query":
			fmt.Fprint(w, `{"status":"success","data":{"result":[]}}`)
		case strings.HasPrefix(r.URL.Path, "/api/v1/traces/"):
			w.WriteHeader(http.StatusNotFound)
		}
	})
	for _, m := range regexp.MustCompile(`(?m)^  (?:http|listen): (127\.0\.0\.1:\d+)$`).FindAllSubmatch(text, -1) {
		ln, err := net.Listen("tcp", string(m[1]))
		if err != nil {
			panic(err)
		}
		go func() { _ = http.Serve(ln, mux) }()
	}
	if ailment == "dies later" {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		go func() { waitForShop(filepath.Dir(config)); ln.Close() }()
		_, _ = ln.Accept()
		os.Exit(4)
	}
	<-ctx.Done()
}

// waitForShop returns when the services have begun to write.
func waitForShop(dir string) {
	for {
		logs, _ := filepath.Glob(filepath.Join(dir, "var/log/pods/*/*/0.log"))
		if len(logs) == len(shop.Names()) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// buffer is Stdout or Stderr of a demo.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type run struct {
	Options
	out, err buffer
	dir      string // temporary files go here
}

func newRun(t *testing.T) *run {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{dir: t.TempDir()}
	t.Setenv("TMPDIR", r.dir)
	r.Options = Options{Executable: exe, Rate: 50, Patience: time.Minute, Stdout: &r.out, Stderr: &r.err}
	return r
}

// leavesNothing checks that no file and no process is left.
func (r *run) leavesNothing(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(r.dir)) {
			t.Errorf("still running: %q", text)
		}
	}
}

func TestAStoreThatKeepsNothingIsFoundOut(t *testing.T) {
	r := newRun(t)
	r.For, r.JSON, r.Chaos, r.Keep = 2*time.Second, true, true, filepath.Join(r.dir, "kept")
	r.Patience = 5 * time.Second
	err := Run(t.Context(), nil, r.Options)
	if !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v\n%s", err, r.err.String())
	}
	lines := strings.Split(strings.TrimSuffix(r.out.String(), "\n"), "\n")
	var report map[string]map[string]float64
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &report); err != nil || len(lines) != 1 {
		t.Fatalf("stdout: %q, %v", r.out.String(), err)
	}
	if logs := report["logs"]; logs["written"] < 100 || logs["lost"] != logs["written"] || logs["stored"] != 0 {
		t.Errorf("logs: %v", logs)
	}
	if spans := report["spans"]; spans["sent"] < 50 || spans["observed"] != 0 || spans["stored"] != 0 {
		t.Errorf("spans: %v", spans)
	}
	for _, want := range []string{"log lines were written and are not stored", "spans were sent", "are not kept, and the aggregator speaks of 0 late spans and 0 late lines", "chaos: the aggregator is back", "no sample was scraped"} {
		if !strings.Contains(r.err.String(), want) {
			t.Errorf("stderr does not say %q:\n%s", want, r.err.String())
		}
	}
	for _, kept := range []string{"agent.yaml", "aggregator.yaml", "shop.json", "agent.log", "ledger/cart.ndjson", "data/aggregator"} {
		if _, err := os.Stat(filepath.Join(r.Keep, kept)); err != nil {
			t.Error(err)
		}
	}
	written, err := reckon.ReadLedgers(map[string]string{"payment": filepath.Join(r.Keep, "ledger/payment.ndjson")}, time.Second)
	if err != nil || len(written.Lines) == 0 {
		t.Errorf("the kept ledger: %d lines, %v", len(written.Lines), err)
	}
	if err := os.RemoveAll(r.Keep); err != nil {
		t.Fatal(err)
	}
	r.leavesNothing(t)
}

func TestCtrlCEndsADemoWithoutEnd(t *testing.T) {
	r := newRun(t)
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), stop, r.Options) }()
	waitFor(t, done, func() bool {
		logs, _ := filepath.Glob(filepath.Join(r.dir, "*/var/log/pods/*/frontend/0.log"))
		return len(logs) == 1 && bytes.Contains(read(t, logs[0]), []byte("POST /checkout"))
	})
	close(stop)
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, r.err.String())
	}
	r.leavesNothing(t)
}

func TestASecondCtrlCDoesNotWait(t *testing.T) {
	r := newRun(t)
	r.Report, r.Patience = true, 24*time.Hour // it would read back for ever
	stop := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, stop, r.Options) }()
	waitFor(t, done, func() bool {
		logs, _ := filepath.Glob(filepath.Join(r.dir, "*/var/log/pods/*/frontend/0.log"))
		return len(logs) == 1 && bytes.Contains(read(t, logs[0]), []byte("POST /checkout"))
	})
	close(stop)
	waitFor(t, done, func() bool { return strings.Contains(r.err.String(), "reading everything back") })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	r.leavesNothing(t)
}

func TestProcessesThatFail(t *testing.T) {
	for _, test := range []struct{ ailment, want string }{
		{"aggregator:dies", "cannot start aggregator: exit status 3; the end of its log:\naggregator: the last words"},
		{"agent:dies", "cannot start agent: exit status 3; the end of its log:\nagent: the last words"},
		{"agent:never ready", "cannot start agent: it was not ready within 3s; the end of its log:\nagent: the last words"},
		{"agent:dies later", "agent ended by itself: exit status 4; the end of its log:\nagent: the last words"},
	} {
		t.Run(test.ailment, func(t *testing.T) {
			t.Setenv("AILMENT", test.ailment)
			r := newRun(t)
			if strings.Contains(test.want, "3s") {
				r.Patience = 3 * time.Second
			}
			err := Run(t.Context(), nil, r.Options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			r.leavesNothing(t)
		})
	}
}

func TestDirectoriesInUseAreRefused(t *testing.T) {
	r := newRun(t)
	r.Keep = filepath.Join(r.dir, "kept")
	if err := os.MkdirAll(filepath.Join(r.Keep, "precious"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), nil, r.Options); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(r.Keep, "precious")); errors.Is(err, fs.ErrNotExist) {
		t.Error("the demo removed what it did not make")
	}
}

func waitFor(t *testing.T, done chan error, happened func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !happened() {
		select {
		case <-deadline:
			t.Fatal("it did not happen")
		case err := <-done:
			t.Fatalf("the demo ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return text
}
