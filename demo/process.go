package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A process is a child in a process group of its own, so that Ctrl-C reaches the demo alone, which then ends its
// children in order.
type process struct {
	name string
	log  string // the file with what it says
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; after done
}

// A spawner starts processes from one thread that lives until close: where the system kills children with their
// parent, it does so when the parent's *thread* ends, and Go's threads come and go.
type spawner struct{ todo chan func() }

func newSpawner() *spawner {
	s := &spawner{todo: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range s.todo {
			f()
		}
	}()
	return s
}

// close kills, on Linux, every child that is left.
func (s *spawner) close() { close(s.todo) }

// start starts a process whose output goes to the file log; ended is called when it has ended.
func (s *spawner) start(name, log string, cmd *exec.Cmd, ended func(*process)) (*process, error) {
	cmd.Env = withoutOTel(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	failed := make(chan error)
	s.todo <- func() { failed <- cmd.Start() }
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
		ended(p)
	}()
	return p, nil
}

// withoutOTel leaves out what would configure the services' SDK from outside.
func withoutOTel(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "OTEL_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// kill ends the process and its children at once and waits for it.
func (p *process) kill() {
	select {
	case <-p.done: // its id may be someone else's by now
		return
	default:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// stop asks the process to end and kills it if it has not after grace, or when ctx ends. The error says that it did not
// end by itself or not well.
func (p *process) stop(ctx context.Context, grace time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return context.Cause(ctx)
	case <-timer.C:
		p.kill()
		return fmt.Errorf("%s did not stop within %s and was killed", p.name, grace)
	}
	if p.err != nil {
		return fmt.Errorf("%s did not end well: %w", p.name, p.err)
	}
	return nil
}

// lastWords is how the process ended, with the end of what it said.
func (p *process) lastWords() string {
	return fmt.Sprintf("%v; the end of its log:\n%s", p.cmd.ProcessState, tail(p.log, 20))
}

// tail returns the last lines of a file, for an error to show.
func tail(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const most = 16 << 10
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-most), most))
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
