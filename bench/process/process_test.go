package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCPU(t *testing.T) {
	got, err := cpu("7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 7 3 20 0 9 0 1 2 3")
	if err != nil || got != 3100*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "7 (a) S 1 7", "7 (a) S 1 7 7 0 -1 4194560 100 0 0 0 x 50 7 3 20"} {
		if _, err := cpu(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestMemory(t *testing.T) {
	anon, highest := memory("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 9 kB\nRssAnon:\t    1024 kB\n")
	if anon != 1<<20 || highest != 2<<20 {
		t.Errorf("%d, %d", anon, highest)
	}
}

// The kernel's own account at the end (wait4) is the truth.
func TestAChildIsMeasured(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	p, err := Start("sh", log, []string{sh, "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; exec cat /dev/zero >/dev/null"})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		if text, _ := os.ReadFile(log); strings.Contains(string(text), "done") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the child does not get on")
		}
	}
	before, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	anon, highest := p.Memory()
	if err := p.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	usage := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	all := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if before < 20*time.Millisecond || before > all+2*time.Second/hertz {
		t.Errorf("%v of CPU time while it ran, the kernel says %v at its end", before, all)
	}
	if anon <= 0 || highest < anon || highest > usage.Maxrss<<10 {
		t.Errorf("RssAnon %d, VmHWM %d, the kernel says %d", anon, highest, usage.Maxrss<<10)
	}
	if _, err := p.CPU(); err == nil {
		t.Error("a process that has ended has no CPU time")
	}
	if !strings.Contains(p.LastWords(), "terminated") {
		t.Errorf("last words: %s", p.LastWords())
	}
}
