//go:build crashpoints

package disk

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var crashAt, crashAfter = parseCrash(os.Getenv("BRAID_CRASH"))

var passed atomic.Int64

// BRAID_CRASH=name or name:n kills the process the n-th time it comes by.
func parseCrash(s string) (string, int64) {
	name, count, ok := strings.Cut(s, ":")
	if !ok {
		return name, 1
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		panic("BUG: BRAID_CRASH=" + s)
	}
	return name, n
}

// Point kills the process when BRAID_CRASH names this place.
func Point(name string) {
	if name == crashAt && passed.Add(1) == crashAfter {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
