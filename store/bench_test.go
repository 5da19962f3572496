package store

import (
	"fmt"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

func benchBatches(frame uint64, n int) []*telemetry.Batch {
	body := []byte(`{"level":"info","msg":"order placed","order":"a1b2c3d4","customer":"c-1234","amount":1299,"currency":"EUR","took_ms":12,"path":"/api/orders","method":"POST","status":201,"user_agent":"loadgen/1.0","region":"eu-central-1","build":"2026.11.20"}`)
	var batches []*telemetry.Batch
	for pod := range 10 {
		r := podResource(fmt.Sprintf("pod-%d", pod), "app", 0)
		batch := logBatch(r, frame, make([]int, n/10)...)
		batch.FirstIndex = pod * n / 10
		for i := range batch.Logs {
			batch.Logs[i].Body = body
			batch.Logs[i].UnixNano += int64(frame)*1e6 + int64(i)
		}
		batches = append(batches, batch)
	}
	return batches
}

// BenchmarkWriteLogs stores frames of 1,000 lines of 250 bytes from ten containers; ns/op is per line.
func BenchmarkWriteLogs(b *testing.B) {
	s := openStore(b, Options{})
	batches := benchBatches(1, 1000)
	b.SetBytes(int64(len(batches[0].Logs[0].Body)))
	b.ReportAllocs()
	for i, frame := 0, uint64(1); i < b.N; i, frame = i+1000, frame+1 {
		b.StopTimer()
		batches := benchBatches(frame, 1000)
		b.StartTimer()
		mustWrite(b, s, batches...)
	}
}

// BenchmarkReadLogs reads the lines of ten containers merged; ns/op is per line.
func BenchmarkReadLogs(b *testing.B) {
	s := openStore(b, Options{})
	for frame := range uint64(20) {
		mustWrite(b, s, benchBatches(frame+1, 1000)...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; {
		err := s.Logs(b.Context(), telemetry.LogQuery{Limit: b.N - i}, func(*telemetry.LogRecord) error { i++; return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
}

func TestLogEncodingDoesNotAllocate(t *testing.T) {
	batch := logBatch(podResource("web", "app", 0), 1, 1)
	batch.Logs[0].Attrs = []telemetry.Attr{{Key: "k", Value: telemetry.String("v")}}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = appendLog(buf[:0], &batch.Logs[0], base) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func BenchmarkWriteSpans(b *testing.B) {
	s := openStore(b, Options{})
	b.ReportAllocs()
	n := 0
	for seed := int64(0); b.Loop(); seed++ {
		batch := spanBatch("cart", seed, 1000)
		n += len(batch.Spans)
		mustWrite(b, s, batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/span")
}

func BenchmarkFindTraces(b *testing.B) {
	s := openStore(b, Options{})
	for seed := range int64(50) {
		mustWrite(b, s, spanBatch("cart", seed, 2000))
	}
	b.ReportAllocs()
	for b.Loop() {
		ids, err := s.FindTraces(b.Context(), telemetry.TraceQuery{Service: "cart", Operation: "op 3", Statuses: []telemetry.StatusCode{telemetry.StatusError}, Limit: 20})
		if err != nil || len(ids) != 20 {
			b.Fatal(ids, err)
		}
	}
}
