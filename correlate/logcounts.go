package correlate

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/telemetry"
)

// LogCountsOptions of [LogCounts].
type LogCountsOptions struct {
	Registerer    prometheus.Registerer // nil: unregistered
	MaxContainers int                   // 0: 50,000; lines of further ones are counted together
	// Idle is for how long, in receive time, a container without lines stays. 0: one hour.
	Idle time.Duration
}

const (
	defaultMaxContainers = 50_000
	defaultIdle          = time.Hour
	maxLabelBytes        = 256
	overflow             = "(overflow)"
)

// The severities that lines are counted by: OTLP's ranges, and the unspecified.
var severities = [...]string{"unspecified", "trace", "debug", "info", "warn", "error", "fatal"}

// severityClass returns the index in severities.
func severityClass(s telemetry.Severity) int {
	if s == 0 || s > 24 {
		return 0
	}
	return int(s-1)/4 + 1
}

type container struct{ namespace, pod, name string }

type counts struct {
	lines    [len(severities)]uint64
	bytes    uint64 // of bodies
	received int64  // of the last line
	uid      string // of the pod
	restart  int    // the highest number of a run of the container in that pod; -1: unknown
}

// run notes which run of the container lines come from. A pod of the same name with another UID begins anew; of one pod
// the last lines of a run may come after the first of the next.
func (n *counts) run(r *telemetry.Resource) {
	switch {
	case r.Restart < 0:
	case r.PodUID != n.uid:
		n.uid, n.restart = label(r.PodUID), r.Restart
	default:
		n.restart = max(n.restart, r.Restart)
	}
}

// LogCounts counts lines per container and severity. Its methods are safe for concurrent use.
type LogCounts struct {
	max  int
	idle int64

	mu         sync.Mutex
	containers map[container]*counts
	swept      int64
}

// NewLogCounts returns a LogCounts without counts.
func NewLogCounts(o LogCountsOptions) *LogCounts {
	if o.MaxContainers <= 0 {
		o.MaxContainers = defaultMaxContainers
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
	c := &LogCounts{max: o.MaxContainers, idle: int64(o.Idle), containers: map[container]*counts{}}
	if o.Registerer != nil {
		o.Registerer.MustRegister(c)
	}
	return c
}

// Observe counts the lines of b; those of a replayed batch are in the counts already.
func (c *LogCounts) Observe(b *telemetry.Batch, replayed bool) {
	if replayed || len(b.Logs) == 0 {
		return
	}
	var k container
	if r := b.Resource; r != nil {
		k = container{r.Namespace, r.Pod, r.Container}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.find(k)
	if b.Resource != nil {
		n.run(b.Resource)
	}
	for i := range b.Logs {
		n.lines[severityClass(b.Logs[i].Severity)]++
		n.bytes += uint64(len(b.Logs[i].Body))
	}
	n.received = max(n.received, b.ReceivedUnixNano)
	c.sweep(b.ReceivedUnixNano)
}

// find returns the counts of k, whose strings are lent.
func (c *LogCounts) find(k container) *counts {
	if n := c.containers[k]; n != nil {
		return n
	}
	k = container{label(k.namespace), label(k.pod), label(k.name)}
	if n := c.containers[k]; n != nil {
		return n
	}
	if all := (container{overflow, overflow, overflow}); len(c.containers) >= c.max && k != all {
		return c.find(all)
	}
	n := &counts{restart: -1}
	c.containers[k] = n
	return n
}

// label returns a copy of s that can be a label's value.
func label(s string) string {
	return strings.Clone(strings.ToValidUTF8(s[:min(len(s), maxLabelBytes)], "\uFFFD"))
}

// sweep forgets the containers that have been idle for too long, looking once in a tenth of that time.
func (c *LogCounts) sweep(now int64) {
	if now-c.swept < c.idle/10 {
		return
	}
	c.swept = now
	for k, n := range c.containers {
		if now-n.received > c.idle {
			delete(c.containers, k)
		}
	}
}

var (
	linesDesc = prometheus.NewDesc("braid_log_records_total", "Log records received, each once.",
		[]string{"namespace", "pod", "container", "severity"}, nil)
	bytesDesc = prometheus.NewDesc("braid_log_record_bytes_total", "Bytes of the bodies of these records.",
		[]string{"namespace", "pod", "container"}, nil)
	restartsDesc = prometheus.NewDesc("braid_log_container_restarts", "How often the container that lines come from has been restarted in its pod.",
		[]string{"namespace", "pod", "container"}, nil)
)

// Describe implements prometheus.Collector.
func (c *LogCounts) Describe(ch chan<- *prometheus.Desc) {
	ch <- linesDesc
	ch <- bytesDesc
	ch <- restartsDesc
}

// Collect implements prometheus.Collector. It copies the counts first, so that a slow scrape does not hold up Observe.
func (c *LogCounts) Collect(ch chan<- prometheus.Metric) {
	type row struct {
		container
		counts
	}
	c.mu.Lock()
	rows := make([]row, 0, len(c.containers))
	for k, n := range c.containers {
		rows = append(rows, row{k, *n})
	}
	c.mu.Unlock()
	for i := range rows {
		r := &rows[i]
		for class, n := range r.lines {
			if n > 0 {
				ch <- prometheus.MustNewConstMetric(linesDesc, prometheus.CounterValue, float64(n), r.namespace, r.pod, r.name, severities[class])
			}
		}
		ch <- prometheus.MustNewConstMetric(bytesDesc, prometheus.CounterValue, float64(r.bytes), r.namespace, r.pod, r.name)
		if r.restart >= 0 && r.name != overflow {
			ch <- prometheus.MustNewConstMetric(restartsDesc, prometheus.GaugeValue, float64(r.restart), r.namespace, r.pod, r.name)
		}
	}
}
