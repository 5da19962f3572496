package otlp

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

type nothing struct{}

func (nothing) Append(context.Context, []telemetry.Frame) error { return nil }

func reception(t testing.TB, spans int, o Options) func() {
	r := ptraceotlp.NewExportRequest()
	to := r.Traces().ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for i := range spans {
		s := to.AppendEmpty()
		s.SetName("GET /cart")
		s.SetTraceID([16]byte{byte(i), byte(i >> 8), 1})
		s.SetSpanID([8]byte{byte(i), 1})
		s.Attributes().PutStr("http.route", "/cart")
		s.Attributes().PutInt("http.response.status_code", 200)
	}
	body := compression.Compress(nil, marshal(t, r), telemetry.Gzip)
	h := New(nothing{}, o).Handler()
	return func() {
		req := httptest.NewRequest(http.MethodPost, "/v1/traces", bytes.NewReader(body))
		req.Header.Set("Content-Type", protobufType)
		req.Header.Set("Content-Encoding", "gzip")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, req); w.Code != 200 {
			panic(w.Code)
		}
	}
}

// A request costs allocations, a record in it none, whether it is checked only or decoded.
func TestNoAllocationsPerRecord(t *testing.T) {
	for name, o := range map[string]Options{"checked": {}, "decoded": {Observed: asking("http.route")}} {
		few, many := reception(t, 10, o), reception(t, 2000, o)
		few()
		many()
		a, b := testing.AllocsPerRun(50, few), testing.AllocsPerRun(50, many)
		if b > a+100 { // pools give their buffers up now and then
			t.Errorf("%s: %v allocations for 10 spans, %v for 2000", name, a, b)
		}
	}
}

func BenchmarkReception(b *testing.B) {
	const spans = 2000
	receive := reception(b, spans, Options{})
	b.ReportAllocs()
	for b.Loop() {
		receive()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/spans, "ns/span")
}
