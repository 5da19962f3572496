package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The program follows two pods at once, over a restart, until a signal ends it, with the code that kubectl's callers see.
func TestLogsFollowUntilASignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		path, withPods := small(t)
		args := append(withPods, "-n", "shop", "-l", "app=cart", "-c", "web", "-f", "--tail=1", "--prefix")
		cmd := exec.Command(braid(t), args...)
		out := &lineWaiter{want: "[pod/cart-5d-b/web] \n", seen: make(chan struct{})}
		errOut := &strings.Builder{}
		cmd.Stdout, cmd.Stderr = out, errOut
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, out)
		out.expect("[pod/cart-5d-a/web] restarted\n")
		next := filepath.Join(path[2], "shop_cart-5d-a_1/web/2.log")
		if err := os.WriteFile(next, []byte("2026-01-01T00:00:08Z stdout F restarted\n"), 0o640); err != nil {
			t.Fatal(err)
		}
		waitFor(t, out)
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 128+int(signal) || errOut.Len() != 0 {
			t.Errorf("%v: %v, said %q", signal, err, errOut)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 3 || lines[2] != "[pod/cart-5d-a/web] restarted" {
			t.Errorf("printed %q", lines)
		}
	}
}

func waitFor(t testing.TB, w *lineWaiter) {
	t.Helper()
	select {
	case <-w.seen:
	case <-time.After(deadline):
		t.Fatalf("no %q in %q", w.want, w.String())
	}
}

// A pod that is gone has no more lines: following it ends by itself.
func TestLogsFollowEndsWithThePod(t *testing.T) {
	path, _ := small(t)
	out := &lineWaiter{want: "alone\n", seen: make(chan struct{})}
	root := newRootCommand()
	root.SetArgs(append(path, "-n", "other", "lone", "-f"))
	root.SetOut(out)
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(t.Context()) }()
	waitFor(t, out)
	if err := os.RemoveAll(filepath.Join(path[2], "other_lone_3")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil || out.String() != "alone\n" {
			t.Errorf("%v after %q", err, out)
		}
	case <-time.After(deadline):
		t.Fatal("does not end")
	}
}
