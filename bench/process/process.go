package process

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A Process is running until [Process.Stop].
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; after done

	watched sync.WaitGroup
	mu      sync.Mutex
	anon    int64
	highest int64
}

// Start starts argv in a process group of its own, so that Ctrl-C reaches the harness alone. Output goes to the file log.
func Start(name, log string, argv []string) (*Process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	defer out.Close()
	p := &Process{name: name, log: log, cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	p.watched.Go(p.watch)
	return p, nil
}

// Ended is closed when the process has ended, asked to or not.
func (p *Process) Ended() <-chan struct{} { return p.done }

// LastWords is how it ended, with the end of what it said.
func (p *Process) LastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 4 << 10
	return fmt.Sprintf("%s: %v; the end of what it said:\n%s", p.name, p.cmd.ProcessState, text[max(0, len(text)-most):])
}

// watch samples the memory until the process ends.
func (p *Process) watch() {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		p.sample()
		select {
		case <-p.done:
			return
		case <-ticker.C:
		}
	}
}

func (p *Process) sample() {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return // it has ended
	}
	anon, highest := memory(string(text))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.anon, p.highest = max(p.anon, anon), max(p.highest, highest)
}

// Memory returns the highest RssAnon seen and VmHWM, in bytes.
func (p *Process) Memory() (anon, highest int64) {
	p.sample()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.anon, p.highest
}

// CPU returns the CPU time used so far.
func (p *Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("%s has ended: %w", p.name, err)
	}
	return cpu(string(text))
}

// Stop asks the process to end, kills it after grace, and waits.
func (p *Process) Stop(grace time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	var err error
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		err = fmt.Errorf("%s did not end within %s and was killed", p.name, grace)
	}
	p.watched.Wait()
	return err
}
