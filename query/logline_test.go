package query

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
)

func fullRecord() *telemetry.LogRecord {
	r := &telemetry.LogRecord{Resource: &telemetry.Resource{
		Cluster: "c", Node: "n", Namespace: "ns", Pod: "p", PodUID: "u", Container: "app", ContainerID: "cid", Service: "s",
		ServiceNamespace: "sn", ServiceVersion: "1", ServiceInstance: "i", Restart: 0,
		Attrs: []telemetry.Attr{{Key: "k8s.deployment.name", Value: telemetry.String("web")}},
	}}
	r.UnixNano, r.ObservedUnixNano = 1_795_000_000_123_456_789, 1_795_000_000_200_000_000
	r.Severity, r.Stream, r.Flags = telemetry.SeverityInfo, telemetry.Stderr, telemetry.Partial|telemetry.Future
	r.TraceID, r.SpanID, r.UID, r.Position = telemetry.TraceID{1}, telemetry.SpanID{2}, telemetry.UID{3}, 42
	r.Body = []byte("<a> & \"b\"\x00\u2028é")
	r.Attrs = []telemetry.Attr{
		{Key: "s", Value: telemetry.String("x")}, {Key: "i", Value: telemetry.Int(math.MaxInt64)},
		{Key: "f", Value: telemetry.Value{Kind: telemetry.FloatValue, Float: 3}},
		{Key: "t", Value: telemetry.Value{Kind: telemetry.BoolValue, Int: 1}},
		{Key: "e", Value: telemetry.Value{Kind: telemetry.EmptyValue}},
		{Key: "b", Value: telemetry.Value{Kind: telemetry.BytesValue, Str: "\xff"}},
		{Key: "j", Value: telemetry.Value{Kind: telemetry.JSONValue, Str: `{"a":[1,null]}`}},
	}
	return r
}

func TestLogLineRoundTrip(t *testing.T) {
	unknown := &telemetry.LogRecord{Resource: &telemetry.Resource{Restart: -1}, Log: telemetry.Log{Body: []byte{}}}
	binary := fullRecord()
	binary.Body, binary.Severity, binary.Resource.Restart = []byte("\xff\xfe"), 18, 7
	for _, want := range []*telemetry.LogRecord{fullRecord(), unknown, binary} {
		row, err := json.Marshal(NewLogLine(want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeLogLine(row)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v %+v\nwant %+v %+v", row, got, got.Resource, want, want.Resource)
		}
	}
}

// TestLogLineFormat: other programs read these names.
func TestLogLineFormat(t *testing.T) {
	r := fullRecord()
	r.Attrs = r.Attrs[:1]
	r.Body = []byte("hello")
	row, err := json.Marshal(NewLogLine(r))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-11-18T11:06:40.123456789Z","observed":"2026-11-18T11:06:40.2Z","severity":"info","stream":"stderr",` +
		`"cluster":"c","node":"n","namespace":"ns","pod":"p","pod_uid":"u","container":"app","container_id":"cid","restart":0,` +
		`"service":"s","service_namespace":"sn","service_version":"1","service_instance":"i","resource":{"k8s.deployment.name":"web"},` +
		`"trace_id":"01000000000000000000000000000000","span_id":"0200000000000000","uid":"0300000000000000000000000000000000000000",` +
		`"position":42,"flags":["partial","future"],"attributes":{"s":"x"},"body":"hello"}`
	if string(row) != want {
		t.Errorf("\n got %s\nwant %s", row, want)
	}
}

func TestDecodeLogLineErrors(t *testing.T) {
	if _, err := DecodeLogLine([]byte(`{"error":"disk is gone"}`)); !errors.Is(err, ErrAnswer) {
		t.Errorf("got %v", err)
	}
	for _, row := range []string{``, `{`, `[]`, `{"trace_id":"12"}`, `{"uid":"zz"}`, `{"span_id":"000000000000000g"}`, `{"attributes":3}`, `{"time":"now"}`} {
		if r, err := DecodeLogLine([]byte(row)); err == nil {
			t.Errorf("%s is %+v", row, r)
		}
	}
}

// FuzzDecodeLogLine: what decodes must encode to what decodes alike.
func FuzzDecodeLogLine(f *testing.F) {
	row, err := json.Marshal(NewLogLine(fullRecord()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Add([]byte(`{"body_base64":"/w==","attributes":{"f":1e300,"n":"NaN","i":12345678901234567890,"x":{"base64":"!"}}}`))
	f.Fuzz(func(t *testing.T, row []byte) {
		r, err := DecodeLogLine(row)
		if err != nil || !utf8.Valid(row) {
			return
		}
		again, err := json.Marshal(NewLogLine(r))
		if err != nil {
			if y := NewLogLine(r).Time.Year(); y < 0 || y > 9999 {
				return
			}
			t.Fatal(err)
		}
		r2, err := DecodeLogLine(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		third, err := json.Marshal(NewLogLine(r2))
		if err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%s\n%s\n%v", again, third, err)
		}
	})
}

func TestTraceViewPutsLinesInPlace(t *testing.T) {
	id := telemetry.TraceID{9}
	span := func(n byte, start int64) telemetry.SpanRecord {
		return telemetry.SpanRecord{Resource: fullRecord().Resource, Scope: telemetry.Scope{Name: "lib"}, Span: telemetry.Span{
			TraceID: id, SpanID: telemetry.SpanID{n}, StartUnixNano: start, EndUnixNano: start + 5, Name: "op",
			Kind: telemetry.SpanKindServer, Status: telemetry.StatusError,
		}}
	}
	line := func(n byte) telemetry.LogRecord {
		return telemetry.LogRecord{Log: telemetry.Log{SpanID: telemetry.SpanID{n}, Body: []byte{'a' + n}}}
	}
	v := NewTraceView(&telemetry.Trace{
		ID: id, Spans: []telemetry.SpanRecord{span(2, 20), span(1, 10), span(0, 5)},
		Logs: []telemetry.LogRecord{line(1), line(2), line(1), line(3), line(0)},
	})
	if len(v.Spans) != 3 || v.Spans[1].SpanID != "0100000000000000" || v.Spans[1].Kind != "server" || v.Spans[1].Status != "error" || v.Spans[1].DurationNano != 5 {
		t.Errorf("spans %+v", v.Spans)
	}
	bodies := func(lines []LogLine) (s string) {
		for _, l := range lines {
			s += l.Body
		}
		return s
	}
	if got := []string{bodies(v.Spans[0].Logs), bodies(v.Spans[1].Logs), bodies(v.Spans[2].Logs), bodies(v.Logs)}; !reflect.DeepEqual(got, []string{"", "bb", "c", "da"}) {
		t.Errorf("lines lie at %q", got)
	}
	b, err := json.Marshal(NewTraceView(&telemetry.Trace{ID: id}))
	if want := `{"trace_id":"09000000000000000000000000000000","spans":[],"logs":[]}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v", b, err)
	}
	var back TraceView
	full, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(full, &back)
	}
	if err != nil || !reflect.DeepEqual(&back, v) {
		t.Errorf("\n got %+v\nwant %+v\n%v", &back, v, err)
	}
}
