package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

// A counter is a sink that counts.
type counter struct {
	records atomic.Int64
	done    chan struct{}
	want    int64
}

func (c *counter) Write(_ context.Context, batches []*telemetry.Batch) error {
	n := int64(0)
	for _, b := range batches {
		n += int64(len(b.Logs))
	}
	if c.records.Add(n) == c.want {
		close(c.done)
	}
	return nil
}

// BenchmarkSource reads 50 containers' files, 60 % JSON lines of about 250 bytes, to a sink that only counts.
func BenchmarkSource(b *testing.B) {
	root := b.TempDir()
	const containers, lines = 50, 4000
	size := int64(0)
	for i := range containers {
		dir := filepath.Join(root, fmt.Sprintf("ns_pod-%d_uid-%d", i, i), "main")
		if err := os.MkdirAll(dir, 0o750); err != nil {
			b.Fatal(err)
		}
		var text strings.Builder
		for j := range lines {
			body := fmt.Sprintf("request %d served %s", j, strings.Repeat("lorem ipsum ", 14))
			if j%5 < 3 {
				body = fmt.Sprintf(`{"level":"info","msg":"request %d","trace_id":"%032x","span_id":"%016x","path":"%s"}`, j, j+1, j+1, strings.Repeat("x", 90))
			}
			fmt.Fprintf(&text, "2026-11-20T23:46:18.%09dZ stdout F %s\n", j+1, body)
		}
		if err := os.WriteFile(filepath.Join(dir, "0.log"), []byte(text.String()), 0o640); err != nil {
			b.Fatal(err)
		}
		size += int64(text.Len())
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		sink := &counter{done: make(chan struct{}), want: containers * lines}
		s, err := New(Options{Roots: []Root{{Path: root, Format: format.CRI}}, StateDir: b.TempDir(), Linger: time.Nanosecond})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx, sink) }()
		<-sink.done
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*containers*lines), "ns/record")
}
