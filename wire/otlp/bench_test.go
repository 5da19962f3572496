package otlp_test

import (
	"bytes"
	"fmt"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

const (
	benchBatches = 50
	benchRecords = 20 // of each batch
)

// line is a JSON line of 278 bytes.
func line() []byte {
	l := []byte(`{"time":"2026-11-20T23:46:18.243493665Z","level":"info","msg":"order placed","trace_id":` +
		`"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","user":"u-48151623","amount":4215,"note":"`)
	l = append(l, bytes.Repeat([]byte("x"), 278-2-len(l))...)
	return append(l, `"}`...)
}

func benchResource(i int) *telemetry.Resource {
	return &telemetry.Resource{
		Cluster: "demo", Node: "node-1", Namespace: "shop", Pod: fmt.Sprintf("checkout-7d9f8b6c5-%05d", i),
		PodUID: "f3b5c2a1-6d1e-4a57-9a3c-0c2f5f0f7d11", Container: "server", Service: "checkout", Restart: 0,
	}
}

// tailed returns what an agent makes of 1,000 lines from 50 containers.
func tailed() []*telemetry.Batch {
	body := line()
	var batches []*telemetry.Batch
	for i := range benchBatches {
		b := &telemetry.Batch{Resource: benchResource(i), FileID: telemetry.FileID{1, byte(i)}, From: 1 << 20, To: 1 << 21}
		for j := range benchRecords {
			b.Logs = append(b.Logs, telemetry.Log{
				UnixNano: 1795219578243493665 + int64(j), ObservedUnixNano: 1795219578253493665,
				Severity: telemetry.SeverityInfo, Stream: telemetry.Stdout, TraceID: telemetry.TraceID{1, byte(j)},
				SpanID: telemetry.SpanID{1, byte(j)}, Position: 1<<20 + int64(j+1)*330, Body: body,
			})
		}
		batches = append(batches, b)
	}
	return batches
}

// spanBody returns 1,000 spans of 50 services with six attributes each, as an SDK sends them.
func spanBody(tb testing.TB) []byte {
	traces := ptrace.NewTraces()
	for i := range benchBatches {
		rs := traces.ResourceSpans().AppendEmpty()
		for _, a := range otlp.ResourceAttributes(nil, benchResource(i)) {
			rs.Resource().Attributes().PutStr(a.Key, a.Value.Str)
		}
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")
		for j := range benchRecords {
			s := ss.Spans().AppendEmpty()
			s.SetTraceID([16]byte{1, byte(j)})
			s.SetSpanID([8]byte{1, byte(j)})
			s.SetParentSpanID([8]byte{2, byte(j)})
			s.SetName("GET /cart/{id}")
			s.SetKind(ptrace.SpanKindServer)
			s.SetStartTimestamp(1795219578243493665)
			s.SetEndTimestamp(1795219578253493665)
			s.Attributes().PutStr("http.request.method", "GET")
			s.Attributes().PutStr("url.path", "/cart/48151623")
			s.Attributes().PutStr("server.address", "checkout.shop.svc.cluster.local")
			s.Attributes().PutInt("server.port", 8080)
			s.Attributes().PutInt("http.response.status_code", 200)
			s.Attributes().PutStr("user_agent.original", "Mozilla/5.0")
			s.Status().SetCode(ptrace.StatusCodeOk)
		}
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// perRecord reports time per record beside time per request.
func perRecord(b *testing.B, bytes int) {
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(benchBatches*benchRecords), "ns/record")
}

func BenchmarkAppendLogs(b *testing.B) {
	batches := tailed()
	var dst []byte
	for b.Loop() {
		dst = otlp.AppendLogs(dst[:0], batches)
	}
	perRecord(b, len(dst))
}

// BenchmarkAppendLogsEmpty shows what encoding costs next to copying and checking the body.
func BenchmarkAppendLogsEmpty(b *testing.B) {
	batches := tailed()
	for _, batch := range batches {
		for i := range batch.Logs {
			batch.Logs[i].Body = []byte{}
		}
	}
	var dst []byte
	for b.Loop() {
		dst = otlp.AppendLogs(dst[:0], batches)
	}
	perRecord(b, len(dst))
}

func BenchmarkPdataMarshalLogs(b *testing.B) {
	logs, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(otlp.AppendLogs(nil, tailed()))
	if err != nil {
		b.Fatal(err)
	}
	request := plogotlp.NewExportRequestFromLogs(logs)
	var body []byte
	for b.Loop() {
		if body, err = request.MarshalProto(); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(body))
}

func BenchmarkDecodeLogs(b *testing.B) {
	body := otlp.AppendLogs(nil, tailed())
	d := otlp.NewDecoder()
	for b.Loop() {
		if _, err := d.Logs(body); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(body))
}

func BenchmarkCountLogs(b *testing.B) {
	body := otlp.AppendLogs(nil, tailed())
	for b.Loop() {
		if n, err := otlp.CountLogs(body); err != nil || n != benchBatches*benchRecords {
			b.Fatal(n, err)
		}
	}
	perRecord(b, len(body))
}

func BenchmarkPdataUnmarshalLogs(b *testing.B) {
	body := otlp.AppendLogs(nil, tailed())
	for b.Loop() {
		if err := plogotlp.NewExportRequest().UnmarshalProto(body); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(body))
}

func BenchmarkDecodeSpans(b *testing.B) {
	body := spanBody(b)
	d := otlp.NewDecoder()
	for b.Loop() {
		if _, err := d.Spans(body); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(body))
}

func BenchmarkCountSpans(b *testing.B) {
	body := spanBody(b)
	for b.Loop() {
		if _, err := otlp.CountSpans(body); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(body))
}

func BenchmarkPdataUnmarshalSpans(b *testing.B) {
	body := spanBody(b)
	for b.Loop() {
		if err := ptraceotlp.NewExportRequest().UnmarshalProto(body); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(body))
}

func BenchmarkAppendSpans(b *testing.B) {
	for _, raw := range []bool{true, false} {
		b.Run(fmt.Sprintf("raw=%v", raw), func(b *testing.B) {
			batches, err := otlp.NewDecoder().Spans(spanBody(b))
			if err != nil {
				b.Fatal(err)
			}
			for _, batch := range batches {
				for i := range batch.Spans {
					if !raw {
						batch.Spans[i].Raw = nil
					}
				}
			}
			var dst []byte
			for b.Loop() {
				dst = otlp.AppendSpans(dst[:0], batches)
			}
			perRecord(b, len(dst))
		})
	}
}

func BenchmarkPdataMarshalSpans(b *testing.B) {
	traces, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(spanBody(b))
	if err != nil {
		b.Fatal(err)
	}
	request := ptraceotlp.NewExportRequestFromTraces(traces)
	var body []byte
	for b.Loop() {
		if body, err = request.MarshalProto(); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(body))
}

// The steady state allocates nothing: not per record, and not per call either.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	batches := tailed()
	logs := otlp.AppendLogs(nil, batches)
	spans := spanBody(t)
	decodedSpans, err := otlp.NewDecoder().Spans(spans)
	if err != nil {
		t.Fatal(err)
	}
	d := otlp.NewDecoder()
	dst := make([]byte, 0, 2*len(logs)+2*len(spans))
	check := func(name string, run func() error) {
		t.Helper()
		if n := testing.AllocsPerRun(20, func() {
			if err := run(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a call", name, n)
		}
	}
	check("AppendLogs", func() error { otlp.AppendLogs(dst, batches); return nil })
	check("AppendSpans", func() error { otlp.AppendSpans(dst, decodedSpans); return nil })
	for _, b := range decodedSpans {
		for i := range b.Spans {
			b.Spans[i].Raw = nil
		}
	}
	check("AppendSpans without raw", func() error { otlp.AppendSpans(dst, decodedSpans); return nil })
	check("Decoder.Logs", func() error { _, err := d.Logs(logs); return err })
	check("Decoder.Spans", func() error { _, err := d.Spans(spans); return err })
	check("CountLogs", func() error { _, err := otlp.CountLogs(logs); return err })
	check("CountSpans", func() error { _, err := otlp.CountSpans(spans); return err })
}

// BenchmarkDecodeSpansOnly is what observers read of spans.
func BenchmarkDecodeSpansOnly(b *testing.B) {
	body := spanBody(b)
	d := otlp.NewDecoder()
	d.Only(telemetry.NewAttributes("http.request.method", "http.response.status_code", "server.address", "peer.service"))
	for b.Loop() {
		if _, err := d.Spans(body); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, len(body))
}
