package fields

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	trace   = "4bf92f3577b34da6a3ce929d0e0e4736"
	span    = "00f067aa0ba902b7"
	half    = "0000000000000000a3ce929d0e0e4736"
	decimal = "11803532876627986230" // a3ce929d0e0e4736
)

func TestScan(t *testing.T) {
	for _, c := range []struct {
		body, severity, trace, span string
	}{
		{``, "", "", ""},
		{`hello world`, "", "", ""},
		// JSON
		{`{"level":"info","trace_id":"` + trace + `","span_id":"` + span + `"}`, "info", trace, span},
		{`  {"msg":"x, \"level\":\"debug\"","lvl":"WARNING","traceId":"` + trace + `","spanId":"` + span + `"} `, "warn", trace, span},
		{`{"trace.id":"` + trace + `","span.id":"` + span + `","log.level":"ERROR"}`, "error", trace, span},
		{`{"trace":{"id":"` + trace + `"},"span":{"id":"` + span + `"},"log":{"level":"fatal","origin":{"level":"info"}}}`, "fatal", trace, span},
		{`{"otelTraceID":"` + trace + `","otelSpanID":"` + span + `","levelname":"CRITICAL"}`, "fatal", trace, span},
		{`{"dd.trace_id":"` + decimal + `","dd.span_id":"67667974448284343","@level":"debug"}`, "debug", half, span},
		{`{"dd.trace_id":` + decimal + `,"dd.span_id":67667974448284343,"severity":"NOTICE"}`, "info", half, span},
		{`{"dd":{"trace_id":"` + decimal + `","span_id":"67667974448284343"}}`, "", half, span},
		{`{"dd.trace_id":"` + trace + `"}`, "", trace, ""},
		{`{"traceparent":"00-` + trace + `-` + span + `-01"}`, "", trace, span},
		{`{"traceID":"a3ce929d0e0e4736","level":30}`, "info", half, ""},
		{`{"level":60}`, "fatal", "", ""},
		{`{"level":{"level":"info"},"trace":{"trace_id":"` + trace + `"}}`, "", "", ""},
		{`{"level":null,"severity":"e"}`, "error", "", ""},
		{`{"level":"nonsense","severity":"error"}`, "error", "", ""},
		{`{"\u006cevel":"\u0065rror"}`, "error", "", ""},
		{`{"a":[{"level":"info"},"]"],"level":"warn"}`, "warn", "", ""},
		{`{"trace_id":"00000000000000000000000000000000","span_id":"0000000000000000"}`, "", "", ""},
		{`{"trace_id":"` + trace[:31] + `g"}`, "", "", ""},
		// JSON that ends too early keeps what was found; text behind it is looked at as text.
		{`{"level":"warn","msg":"cut of`, "warn", "", ""},
		{`{not json} trace_id=` + trace, "", trace, ""},
		// logfmt and pairs in text
		{`ts=1 level=warn msg="slow query" trace_id=` + trace + ` span_id=` + span, "warn", trace, span},
		{`level="error" traceID="` + trace + `"`, "error", trace, ""},
		{`request done [trace_id=` + trace + `, span_id=` + span + `] in 3ms`, "", trace, span},
		{`dd.trace_id=` + decimal + ` dd.span_id=67667974448284343`, "", half, span},
		{`got header traceparent=00-` + trace + `-` + span + `-01`, "", trace, span},
		{`sublevel=error`, "", "", ""},
		// levels in text
		{`2026-11-20 23:46:18,243 ERROR [main] boom`, "error", "", ""},
		{`2026-11-20T23:46:18Z	INFO	started`, "info", "", ""},
		{`[error] 12#12: *1 open() failed`, "error", "", ""},
		{`2026/11/20 23:46:18 [warn] 12#12: x`, "warn", "", ""},
		{`E1121 00:05:36.563996       1 main.go:12] boom`, "error", "", ""},
		{`I1121 00:05:36.563996       1 main.go:12] ERROR in text`, "info", "", ""},
		{`ERROR: boom`, "error", "", ""},
		{`panic: cannot open /data/db`, "fatal", "", ""},
		{"\x1b[31mWARN\x1b[0m text", "warn", "", ""},
		{`no error here`, "", "", ""},
		{`an ERRORS count`, "", "", ""},
		{`LOG of the day, CONFIG and FINE print`, "", "", ""},
	} {
		got := Scan([]byte(c.body))
		if got.Severity.String() != c.severity || hexOf(got.TraceID) != c.trace || spanOf(got.SpanID) != c.span {
			t.Errorf("%s\n got %q %q %q\nwant %q %q %q", c.body,
				got.Severity, hexOf(got.TraceID), spanOf(got.SpanID), c.severity, c.trace, c.span)
		}
	}
}

func hexOf(id telemetry.TraceID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func spanOf(id telemetry.SpanID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

var lines = map[string]string{
	"json": `{"ts":"2026-11-21T00:00:45.123+00:00","level":"info","msg":"GET /cart/17 took 3ms and gave 2 items","status":200,"ms":3,` +
		`"pod":"web-686fc4bc56-6vlr9","user":"0815","trace_id":"` + trace + `","span_id":"` + span + `"}`,
	"json-none": `{"ts":"2026-11-21T00:00:45.123+00:00","msg":"GET /cart/17 took 3ms and gave 2 items","status":200,"ms":3,` +
		`"pod":"web-686fc4bc56-6vlr9","user":"0815","nested":{"a":[1,2,3],"b":"c"},"other":"text that goes on for a while"}`,
	"logfmt": `ts=2026-11-21T00:00:45.123Z level=warn caller=main.go:12 msg="slow query" ms=905 trace_id=` + trace,
	"text":   `2026-11-21 00:00:45,123 ERROR [main] com.example.Shop - cannot reach the stock service after 3 attempts`,
	"plain":  `lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua`,
}

func TestAllocations(t *testing.T) {
	for name, s := range lines {
		body := []byte(s)
		if n := testing.AllocsPerRun(100, func() { Scan(body) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for _, name := range []string{"json", "json-none", "logfmt", "text", "plain"} {
		b.Run(name, func(b *testing.B) {
			body := []byte(lines[name])
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				Scan(body)
			}
		})
	}
}
