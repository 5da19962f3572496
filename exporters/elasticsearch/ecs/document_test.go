package ecs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
)

func TestTheDocumentsOfALineAndASpan(t *testing.T) {
	var s Setting
	b := logBatch(2, 1_700_000_000_000_000_000)
	b.Logs[1].Flags = telemetry.Partial | telemetry.Future
	s.Set(b, Full, 0)
	check := func(got []byte, want string) {
		t.Helper()
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if string(got) != compact.String() {
			t.Errorf("document is\n%s\nnot\n%s", got, compact.String())
		}
	}
	check(AppendLog(nil, &b.Logs[1], &s, Full), `{
		"@timestamp":"2026-11-20T10:00:00.001000001Z",
		"event":{"created":"2026-11-20T10:00:00.006000001Z","ingested":"2023-11-14T22:13:20Z","severity":2},
		"log":{"level":"trace","iostream":"stderr","offset":200},
		"message":"line 1 of \"file\" 1 → ok",
		"trace":{"id":"01000000000000000000000000000001"},"span":{"id":"0200000000000001"},
		"attributes":{"http.method":"GET","n":1},
		"braid":{"flags":["partial","future"]},
		"service":{"name":"cart"},
		"kubernetes":{"namespace":"shop","node":{"name":"node-1"},"pod":{"name":"cart-1","uid":"uid-1"},"container":{"name":"app","restart_count":0}},
		"orchestrator":{"cluster":{"name":"demo"}},
		"labels":{"k8s.deployment.name":"cart"}}`)
	s.Set(b, Plain, 0)
	check(AppendLog(nil, &telemetry.Log{UnixNano: -5, Attrs: b.Logs[1].Attrs}, &s, Plain), `{
		"@timestamp":"2023-11-14T22:13:20Z","event":{"ingested":"2023-11-14T22:13:20Z"},"log":{"offset":0},"message":"",
		"attributes_text":"{\"http.method\":\"GET\",\"n\":1}","event_unix_nano":-5,
		"service":{"name":"cart"},
		"kubernetes":{"namespace":"shop","node":{"name":"node-1"},"pod":{"name":"cart-1","uid":"uid-1"},"container":{"name":"app","restart_count":0}},
		"orchestrator":{"cluster":{"name":"demo"}},
		"refused":{"labels":"{\"k8s.deployment.name\":\"cart\"}"}}`)
	p := spanBatch(1, 1_700_000_000_000_000_000)
	s.Set(p, Full, 0)
	check(AppendSpan(nil, &p.Spans[0], &s, Full), `{
		"@timestamp":"2026-11-20T10:00:00Z",
		"event":{"ingested":"2023-11-14T22:13:20Z","duration":12345,"outcome":"failure"},
		"trace":{"id":"01000000000000000000000000000000"},
		"span":{"id":"0900000000000000","name":"GET /cart","kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR","message":"no"}},
		"parent":{"id":"0100000000000000"},
		"attributes":{"ok":true},
		"service":{"name":"cart"},"kubernetes":{"namespace":"shop"},
		"scope":{"name":"otelhttp","version":"1.0"}}`)
	if got, want := string(AppendSpanID(nil, &p.Spans[0])), fmt.Sprintf("01000000000000000000000000000000090000000000000002%016x", p.Spans[0].StartUnixNano); got != want {
		t.Errorf("id is %s, not %s", got, want)
	}
	// Of a record that says nothing there is little to say.
	s.Set(&telemetry.Batch{}, Full, 1_700_000_000_000_000_000)
	check(AppendLog(nil, &telemetry.Log{}, &s, Full), `{"@timestamp":"2023-11-14T22:13:20Z","event":{"ingested":"2023-11-14T22:13:20Z"},"message":""}`)
}

func TestAttributesAreAppendedAsJSON(t *testing.T) {
	value := func(k telemetry.Kind, s string, f float64) telemetry.Value {
		return telemetry.Value{Kind: k, Str: s, Float: f}
	}
	attrs := []telemetry.Attr{
		attr("a.b", "x"), {Key: "a", Value: telemetry.Int(math.MinInt64)}, attr("a.b", "again"),
		{Key: "nan", Value: value(telemetry.FloatValue, "", math.NaN())}, {Key: "inf", Value: value(telemetry.FloatValue, "", math.Inf(-1))},
		{Key: "f", Value: value(telemetry.FloatValue, "", 1e21)}, {Key: "one", Value: value(telemetry.FloatValue, "", 1)},
		{Key: "j", Value: value(telemetry.JSONValue, "{\"a\":\n[1,\r2]}", 0)}, {Key: "bad", Value: value(telemetry.JSONValue, "{\n", 0)},
		{Key: "badutf", Value: value(telemetry.JSONValue, "\"\xff\"", 0)}, {Key: "\"\n", Value: value(telemetry.EmptyValue, "", 0)},
	}
	want := `{"a.b":"x","a":-9223372036854775808,"nan":"NaN","inf":"-Infinity","f":1e+21,"one":1.0,"j":{"a": [1, 2]},"bad":"{\n","badutf":"\"` + "\ufffd" + `\"","\"\n":null}`
	if got := string(appendAttrs(nil, attrs)); got != want {
		t.Errorf("attributes are\n%s\nnot\n%s", got, want)
	}
	many := make([]telemetry.Attr, 3*manyAttrs)
	for i := range many {
		many[i] = attr(fmt.Sprint(i%manyAttrs), "v")
	}
	if n := strings.Count(string(appendAttrs(nil, many)), `:"v"`); n != manyAttrs {
		t.Errorf("%d of %d keys", n, manyAttrs)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c\n\r\t\x00\x1f\x7f", "\u2028é😀", "\xff\xc0\xaf\xed\xa0\x80x", "cut \xe2\x82"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, valid := appendText(nil, body)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q becomes %s: %v", body, got, err)
		}
		theirs, err := json.Marshal(string(body))
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(theirs, &want); err != nil {
			t.Fatal(err)
		}
		if back != want {
			t.Errorf("%q reads back as %q, encoding/json's as %q", body, back, want)
		}
		if valid != (back == string(body)) {
			t.Errorf("%q: valid is %v", body, valid)
		}
		if bytes.IndexByte(got, '\n') >= 0 {
			t.Errorf("%q has a line end", got)
		}
	})
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte("body"), "key", "value", `{"a":[1,2]}`, int64(1), uint8(3))
	f.Add([]byte("\xff"), "\xff", "\x00", "{\n}", int64(-1), uint8(0xff))
	f.Fuzz(func(t *testing.T, body []byte, key, value, raw string, number int64, mark uint8) {
		attrs := []telemetry.Attr{attr(key, value), {Key: value, Value: telemetry.Value{Kind: telemetry.JSONValue, Str: raw}},
			{Key: raw, Value: telemetry.Value{Kind: telemetry.Kind(mark % 8), Str: value, Int: number, Float: math.Float64frombits(uint64(number))}}}
		b := &telemetry.Batch{Tenant: key, ReceivedUnixNano: number, Resource: &telemetry.Resource{Pod: value, Container: key, Restart: int(mark) - 1, Attrs: attrs},
			Scope: telemetry.Scope{Name: key, Attrs: attrs}}
		l := telemetry.Log{UnixNano: number, ObservedUnixNano: number, Severity: telemetry.Severity(mark), Stream: telemetry.Stream(mark), Flags: telemetry.LogFlags(mark),
			TraceID: telemetry.TraceID{mark}, Body: body, Attrs: attrs}
		p := telemetry.Span{TraceID: telemetry.TraceID{mark}, SpanID: telemetry.SpanID{mark}, Name: key, StatusMessage: value, StartUnixNano: number, Kind: telemetry.SpanKind(mark), Attrs: attrs}
		for _, f := range []Form{Full, Plain} {
			var s Setting
			s.Set(b, f, 1)
			documents := [][]byte{AppendLog(nil, &l, &s, f), AppendSpan(nil, &p, &s, f)}
			documents = append(documents, AppendDeadLetter(nil, &DeadLetter{DataStream: key, Original: documents[0], Cut: true, Type: key, Reason: value}, b, &s))
			for _, d := range documents {
				if !json.Valid(d) || bytes.IndexByte(d, '\n') >= 0 {
					t.Fatalf("no document: %s", d)
				}
			}
			var back telemetry.LogRecord
			if err := DecodeLog("", documents[0], &back); err != nil {
				t.Fatalf("cannot read back %s: %v", documents[0], err)
			}
			if !bytes.Equal(back.Body, body) {
				t.Errorf("body %q reads back as %q", body, back.Body)
			}
		}
	})
}

func appendAll(dst []byte, b *telemetry.Batch, s *Setting) []byte {
	s.Set(b, Full, 1)
	for i := range b.Logs {
		dst = AppendHex(dst, b.Logs[i].UID[:])
		dst = AppendLog(dst, &b.Logs[i], s, Full)
	}
	for i := range b.Spans {
		dst = AppendSpanID(dst, &b.Spans[i])
		dst = AppendSpan(dst, &b.Spans[i], s, Full)
	}
	return dst
}

func TestEncodingAllocatesNothing(t *testing.T) {
	for name, b := range map[string]*telemetry.Batch{"logs": logBatch(100, 1), "spans": spanBatch(100, 1)} {
		var s Setting
		dst := appendAll(nil, b, &s)
		if n := testing.AllocsPerRun(50, func() { dst = appendAll(dst[:0], b, &s) }); n != 0 {
			t.Errorf("%v allocations for 100 %s", n, name)
		}
	}
}

func BenchmarkAppendLog(b *testing.B)  { benchmarkAppend(b, logBatch(1000, 1)) }
func BenchmarkAppendSpan(b *testing.B) { benchmarkAppend(b, spanBatch(1000, 1)) }

func benchmarkAppend(b *testing.B, batch *telemetry.Batch) {
	var s Setting
	dst := appendAll(nil, batch, &s)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = appendAll(dst[:0], batch, &s)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Len()), "ns/record")
}

// logBatch returns a batch of n lines received at received.
func logBatch(n int, received int64) *telemetry.Batch {
	b := &telemetry.Batch{
		Resource: &telemetry.Resource{
			Cluster: "demo", Node: "node-1", Namespace: "shop", Pod: "cart-1", PodUID: "uid-1",
			Container: "app", Service: "cart", Attrs: []telemetry.Attr{attr("k8s.deployment.name", "cart")},
		},
		FileID: telemetry.FileID{1, 1}, ReceivedUnixNano: received,
	}
	for i := range n {
		position := int64(i+1) * 100
		at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC).UnixNano() + int64(i)*1_000_001
		b.Logs = append(b.Logs, telemetry.Log{
			UnixNano: at, ObservedUnixNano: at + 5_000_000, Severity: telemetry.Severity(1 + i%24), Stream: telemetry.Stream(1 + i%2),
			TraceID: telemetry.TraceID{15: byte(i), 14: byte(i >> 8), 0: 1}, SpanID: telemetry.SpanID{7: byte(i), 0: 2},
			Position: position, UID: telemetry.FileUID(b.FileID, position),
			Body:  fmt.Appendf(nil, "line %d of \"file\" 1 \u2192 ok", i),
			Attrs: []telemetry.Attr{attr("http.method", "GET"), {Key: "n", Value: telemetry.Int(int64(i))}},
		})
	}
	return b
}

func spanBatch(n int, received int64) *telemetry.Batch {
	b := &telemetry.Batch{
		Resource:         &telemetry.Resource{Service: "cart", Namespace: "shop", Restart: -1},
		Scope:            telemetry.Scope{Name: "otelhttp", Version: "1.0"},
		ReceivedUnixNano: received,
	}
	for i := range n {
		start := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC).UnixNano() + int64(i)*1_000_003
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: telemetry.TraceID{15: byte(i), 0: 1}, SpanID: telemetry.SpanID{7: byte(i), 0: 9},
			ParentID: telemetry.SpanID{1}, Kind: telemetry.SpanKindServer, Status: telemetry.StatusError, Name: "GET /cart",
			StatusMessage: "no", StartUnixNano: start, EndUnixNano: start + 12_345,
			Attrs: []telemetry.Attr{{Key: "ok", Value: telemetry.Value{Kind: telemetry.BoolValue, Int: 1}}},
		})
	}
	return b
}

func attr(key, value string) telemetry.Attr {
	return telemetry.Attr{Key: key, Value: telemetry.String(value)}
}
