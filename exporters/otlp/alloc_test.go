package otlp

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

// nowhere is a transport without a network.
type nowhere struct{ buffer []byte }

func (n nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		if _, err := r.Body.Read(n.buffer); err == io.EOF {
			break
		}
	}
	return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}, nil
}

func exporterToNowhere(t testing.TB, records int) func() {
	e, err := New(Options{URL: "http://127.0.0.1:1", Client: &http.Client{Transport: nowhere{make([]byte, 64<<10)}}, Compression: telemetry.Zstd})
	if err != nil {
		t.Fatal(err)
	}
	batch := &telemetry.Batch{Resource: &telemetry.Resource{Pod: "cart", Restart: 0}}
	for i := range records {
		batch.Logs = append(batch.Logs, telemetry.Log{UnixNano: int64(i), Severity: telemetry.SeverityInfo, Stream: telemetry.Stdout, Body: []byte("GET /cart 200 in 12 ms")})
	}
	return func() {
		if err := e.Write(context.Background(), []*telemetry.Batch{batch}); err != nil {
			panic(err)
		}
	}
}

// A request costs allocations, a record in it none.
func TestNoAllocationsPerRecord(t *testing.T) {
	few, many := exporterToNowhere(t, 10), exporterToNowhere(t, 2000)
	few()
	many()
	a, b := testing.AllocsPerRun(50, few), testing.AllocsPerRun(50, many)
	if b > a+100 { // pools give their buffers up now and then
		t.Errorf("%v allocations for 10 records, %v for 2000", a, b)
	}
}

func BenchmarkWrite(b *testing.B) {
	const records = 2000
	write := exporterToNowhere(b, records)
	b.ReportAllocs()
	for b.Loop() {
		write()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
