package correlate

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func lines(pod string, received time.Duration, severities ...telemetry.Severity) *telemetry.Batch {
	b := &telemetry.Batch{
		Resource: &telemetry.Resource{Namespace: "shop", Pod: pod, Container: "app"}, ReceivedUnixNano: int64(received),
	}
	for _, s := range severities {
		b.Logs = append(b.Logs, telemetry.Log{Severity: s, Body: []byte("12345")})
	}
	return b
}

func expect(t *testing.T, c prometheus.Collector, want string, names ...string) {
	t.Helper()
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

const fiveLines = `
# HELP braid_log_container_restarts How often the container that lines come from has been restarted in its pod.
# TYPE braid_log_container_restarts gauge
braid_log_container_restarts{container="app",namespace="shop",pod="web"} 0
# HELP braid_log_record_bytes_total Bytes of the bodies of these records.
# TYPE braid_log_record_bytes_total counter
braid_log_record_bytes_total{container="",namespace="",pod=""} 5
braid_log_record_bytes_total{container="app",namespace="shop",pod="web"} 20
# HELP braid_log_records_total Log records received, each once.
# TYPE braid_log_records_total counter
braid_log_records_total{container="",namespace="",pod="",severity="fatal"} 1
braid_log_records_total{container="app",namespace="shop",pod="web",severity="error"} 2
braid_log_records_total{container="app",namespace="shop",pod="web",severity="info"} 1
braid_log_records_total{container="app",namespace="shop",pod="web",severity="unspecified"} 1
`

func fill(c *LogCounts) {
	b := lines("web", time.Minute, telemetry.SeverityInfo, telemetry.SeverityError, 0, telemetry.SeverityError+3)
	c.Observe(b, false)
	c.Observe(b, true) // is in the counts already
	other := lines("", time.Hour, telemetry.SeverityFatal)
	other.Resource = nil
	c.Observe(other, false)
}

func TestLogCounts(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	c := NewLogCounts(LogCountsOptions{Registerer: reg})
	fill(c)
	expect(t, c, fiveLines)
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
}

func TestSeverityClassesAreTelemetrys(t *testing.T) {
	for s := range telemetry.Severity(40) {
		want := s.String()
		if want == "" {
			want = "unspecified"
		}
		if got := severities[severityClass(s)]; got != want {
			t.Errorf("severity %d is counted as %s, want %s", s, got, want)
		}
	}
}

func TestLogCountsSnapshot(t *testing.T) {
	c, restored := NewLogCounts(LogCountsOptions{}), NewLogCounts(LogCountsOptions{})
	fill(c)
	restored.Observe(lines("to be replaced", 0, 1), false)
	if err := restored.Restore(c.AppendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	expect(t, restored, fiveLines)
	restored.Observe(lines("web", 2*time.Hour, 9), true)
	expect(t, restored, fiveLines)
	restored.Observe(lines("web", 2*time.Hour, 9), false)
	if got := restored.containers[container{"shop", "web", "app"}].bytes; got != 25 {
		t.Errorf("%d bytes", got)
	}
	good := c.AppendSnapshot(nil)
	for n := 1; n < len(good); n++ {
		if err := restored.Restore(good[:n]); !errors.Is(err, ErrSnapshot) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	if err := restored.Restore(append([]byte{9}, good[1:]...)); !errors.Is(err, ErrSnapshot) {
		t.Error(err)
	}
	if err := restored.Restore(nil); err != nil || len(restored.containers) != 0 {
		t.Errorf("%v, %v", restored.containers, err)
	}
}

// A container's restarts are the number of its newest run; a new pod of the same name begins anew.
func TestRestarts(t *testing.T) {
	c := NewLogCounts(LogCountsOptions{MaxContainers: 1})
	restarts := func(want string) {
		t.Helper()
		if want != "" {
			want = fmt.Sprintf(`
# HELP braid_log_container_restarts How often the container that lines come from has been restarted in its pod.
# TYPE braid_log_container_restarts gauge
braid_log_container_restarts{container="app",namespace="shop",pod="web"} %s
`, want)
		}
		expect(t, c, want, "braid_log_container_restarts")
		restored := NewLogCounts(LogCountsOptions{})
		if err := restored.Restore(c.AppendSnapshot(nil)); err != nil {
			t.Fatal(err)
		}
		c = restored
		c.max = 1
	}
	observe := func(uid string, restart int, replayed bool) {
		b := lines("web", 0, 9)
		b.Resource.PodUID, b.Resource.Restart = uid, restart
		c.Observe(b, replayed)
	}
	observe("1", -1, false)
	restarts("")
	observe("1", 2, false)
	observe("1", 4, false)
	observe("1", 3, false)
	observe("1", 9, true)
	observe("1", -1, false)
	c.Observe(lines("in the overflow", 0, 9), false)
	restarts("4")
	observe("2", 0, false)
	restarts("0")
}

// A snapshot of the version before is read; what it does not say is unknown.
func TestSnapshotsOfVersion1AreRead(t *testing.T) {
	snapshot := []byte("\x01\x02\x01\x04shop\x03web\x03app\x02\x14\x01\x00\x00\x01\x00\x02\x00")
	c := NewLogCounts(LogCountsOptions{})
	if err := c.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	_, withoutRestarts, _ := strings.Cut(fiveLines, "pod=\"web\"} 0\n")
	expect(t, c, strings.NewReplacer(
		"braid_log_record_bytes_total{container=\"\",namespace=\"\",pod=\"\"} 5\n", "",
		"braid_log_records_total{container=\"\",namespace=\"\",pod=\"\",severity=\"fatal\"} 1\n", "",
	).Replace("\n"+withoutRestarts))
	if err := c.Restore(append([]byte{0}, snapshot[1:]...)); !errors.Is(err, ErrSnapshot) {
		t.Errorf("version 0: %v", err)
	}
}

func TestIdleContainersGo(t *testing.T) {
	c := NewLogCounts(LogCountsOptions{})
	c.Observe(lines("old", 0, 9), false)
	for at := time.Duration(0); at <= 67*time.Minute; at += time.Minute {
		c.Observe(lines("busy", at, 9), false)
	}
	if len(c.containers) != 1 || c.containers[container{"shop", "busy", "app"}] == nil {
		t.Errorf("left: %v", c.containers)
	}
}

func TestContainersAreBounded(t *testing.T) {
	c := NewLogCounts(LogCountsOptions{MaxContainers: 2})
	for i := range 5 {
		c.Observe(lines(fmt.Sprint(i), 0, 9), false)
	}
	c.Observe(lines("0", 0, 9), false)
	if n := len(c.containers); n != 3 {
		t.Errorf("%d containers", n)
	}
	if n := c.containers[container{overflow, overflow, overflow}].bytes; n != 15 {
		t.Errorf("overflow has %d bytes", n)
	}
}

// TestForeignLabels: whatever a sender calls its pods, the scrape goes on, and nothing lent is kept.
func TestForeignLabels(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	c := NewLogCounts(LogCountsOptions{Registerer: reg})
	lent := []byte("web")
	for _, pod := range []string{"\xff", "\xfe", strings.Repeat("é", 300), unsafe.String(&lent[0], len(lent))} {
		c.Observe(lines(pod, 0, 9), false)
	}
	copy(lent, "###")
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
	if c.containers[container{"shop", "web", "app"}] == nil || len(c.containers) != 3 {
		t.Errorf("%v", c.containers)
	}
}

func TestCollectWhileObserving(t *testing.T) {
	c, x := NewLogCounts(LogCountsOptions{}), NewIndex(IndexOptions{MaxEntries: 100, Rules: allFacts(t)})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 2000 {
			b := lines(fmt.Sprint(i%50), time.Duration(i)*time.Second, 9)
			b.Logs[0].TraceID = telemetry.TraceID{byte(i), byte(i >> 8)}
			c.Observe(b, false)
			x.Observe(b, false)
		}
	})
	wg.Go(func() {
		for range 50 {
			testutil.CollectAndCount(c)
			x.Facts(telemetry.TraceID{1}, 0)
			if err := NewLogCounts(LogCountsOptions{}).Restore(c.AppendSnapshot(nil)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

func FuzzRestore(f *testing.F) {
	c := NewLogCounts(LogCountsOptions{})
	f.Add(c.AppendSnapshot(nil))
	fill(c)
	f.Add(c.AppendSnapshot(nil))
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		c, again := NewLogCounts(LogCountsOptions{}), NewLogCounts(LogCountsOptions{})
		if c.Restore(snapshot) != nil {
			return
		}
		if err := again.Restore(c.AppendSnapshot(nil)); err != nil || len(again.containers) != len(c.containers) {
			t.Fatalf("%d containers instead of %d, %v", len(again.containers), len(c.containers), err)
		}
		testutil.CollectAndCount(c)
	})
}

func TestLogCountsDoNotAllocate(t *testing.T) {
	c := NewLogCounts(LogCountsOptions{})
	b := lines("web", 1, 9, 17)
	if n := testing.AllocsPerRun(1000, func() { c.Observe(b, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkLogCounts counts batches of ten lines; ns/op is per line.
func BenchmarkLogCounts(b *testing.B) {
	c := NewLogCounts(LogCountsOptions{})
	batch := lines("web", 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 17)
	b.ReportAllocs()
	for i := 0; i < b.N; i += 10 {
		c.Observe(batch, false)
	}
}
