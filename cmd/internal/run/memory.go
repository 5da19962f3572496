package run

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// LimitMemory sets the Go runtime's soft limit to 90 % of the cgroup's memory limit, unless GOMEMLIMIT is set, and
// returns the limit that holds (math.MaxInt64: none). GOMAXPROCS follows the cgroup by itself.
func LimitMemory() int64 {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		if limit, ok := cgroupLimit("/sys/fs/cgroup"); ok {
			debug.SetMemoryLimit(limit / 10 * 9)
		}
	}
	return debug.SetMemoryLimit(-1)
}

// cgroupLimit reads the memory limit of the container, in bytes, from cgroup v2 or v1 below root.
func cgroupLimit(root string) (int64, bool) {
	for _, name := range []string{root + "/memory.max", root + "/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && limit > 0 && limit < 1<<50 { // v1 writes a huge number for "none"
			return limit, true
		}
	}
	return 0, false
}

// errMemory is what senders are told while memory is short.
var errMemory = errors.New("memory is at 80 % of its limit")

// Guard passes frames on to next while the process uses less than 80 % of its memory limit, and answers Throttled
// above it: senders hold what they have, which costs them less than our being killed would.
type Guard struct {
	next  telemetry.Appender
	bound uint64

	mu      sync.Mutex
	looked  time.Time
	used    uint64
	samples []metrics.Sample
}

// NewGuard returns a guard for limit bytes (math.MaxInt64: no limit, nothing is ever refused).
func NewGuard(next telemetry.Appender, limit int64) *Guard {
	bound := uint64(math.MaxUint64)
	if limit != math.MaxInt64 {
		bound = uint64(limit) / 10 * 8
	}
	return &Guard{next: next, bound: bound, samples: []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}}
}

// Append implements telemetry.Appender.
func (g *Guard) Append(ctx context.Context, frames []telemetry.Frame) error {
	if g.bound != math.MaxUint64 && g.inUse() > g.bound {
		return telemetry.Throttled(errMemory, time.Second)
	}
	return g.next.Append(ctx, frames)
}

func (g *Guard) inUse() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.looked) > 100*time.Millisecond {
		metrics.Read(g.samples)
		g.used = g.samples[0].Value.Uint64() - g.samples[1].Value.Uint64()
		g.looked = now
	}
	return g.used
}
