package demo

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stubborn starts a process that does not end when it is asked to, and waits until it does not.
func stubborn(t *testing.T) *process {
	t.Helper()
	s := newSpawner()
	t.Cleanup(s.close)
	cmd := exec.Command("sh", "-c", `trap "" TERM; echo deaf; while :; do sleep 100; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.start("stubborn", "", cmd, func(*process) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "deaf\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	return p
}

func gone(p *process) bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func TestStubbornProcessesAreKilled(t *testing.T) {
	p := stubborn(t)
	if err := p.stop(t.Context(), time.Millisecond); err == nil || !gone(p) {
		t.Errorf("after its grace: %v, gone: %v", err, gone(p))
	}
	p = stubborn(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.stop(ctx, time.Hour); !errors.Is(err, context.Canceled) || !gone(p) {
		t.Errorf("at once: %v, gone: %v", err, gone(p))
	}
}

func TestProcessesThatEndBadlyAreNamed(t *testing.T) {
	s := newSpawner()
	defer s.close()
	p, err := s.start("sh", "", exec.Command("sh", "-c", "exit 7"), func(*process) {})
	if err != nil {
		t.Fatal(err)
	}
	<-p.done
	if err := p.stop(t.Context(), time.Hour); err == nil || !strings.Contains(err.Error(), "sh did not end well: exit status 7") {
		t.Errorf("got %v", err)
	}
	if _, err := s.start("nothing", "", exec.Command(filepath.Join(t.TempDir(), "nothing")), func(*process) {}); err == nil {
		t.Error("started what is not there")
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 20<<10)+"\n1\n2\n3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := tail(path, 2); got != "2\n3" {
		t.Errorf("got %q", got)
	}
	if got := tail(path, 100); !strings.HasSuffix(got, "x\n1\n2\n3") {
		t.Errorf("got %.50q", got)
	}
}
