package otlp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/braidhq/braid/receivers/intake"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

func post(h http.Handler, path, contentType, encoding string, body []byte) *http.Response {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestProtobufIsKeptAsItCame(t *testing.T) {
	k := &keeper{}
	h := New(k, Options{}).Handler()
	bodies := map[string][]byte{"/v1/logs": marshal(t, someLogs()), "/v1/traces": marshal(t, someSpans())}
	signals := map[string]telemetry.Signal{"/v1/logs": telemetry.Logs, "/v1/traces": telemetry.Spans}
	for path, plain := range bodies {
		for _, c := range []telemetry.Compression{telemetry.Identity, telemetry.Gzip, telemetry.Zstd} {
			body := compression.Compress(nil, plain, c)
			resp := post(h, path, "application/x-protobuf; charset=utf-8", c.String(), body)
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != protobufType {
				t.Fatalf("%s %s: %s %s", path, c, resp.Status, resp.Header.Get("Content-Type"))
			}
			answer, _ := io.ReadAll(resp.Body)
			if err := plogotlp.NewExportResponse().UnmarshalProto(answer); err != nil {
				t.Fatal(err)
			}
			f := k.one(t)
			if f.Signal != signals[path] || f.Encoding != telemetry.OTLP || f.Compression != c || !bytes.Equal(f.Body, body) {
				t.Fatalf("%s %s: kept %s %d %s, %d bytes", path, c, f.Signal, f.Encoding, f.Compression, len(f.Body))
			}
		}
	}
}

func TestJSONBecomesProtobuf(t *testing.T) {
	k := &keeper{}
	h := New(k, Options{}).Handler()
	logs, err := someLogs().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, encoding := range []string{"", "gzip"} {
		body := logs
		if encoding == "gzip" {
			body = compression.Compress(nil, logs, telemetry.Gzip)
		}
		resp := post(h, "/v1/logs", jsonType, encoding, body)
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != jsonType || string(answer) != "{}" {
			t.Fatalf("%s %s %q", resp.Status, resp.Header.Get("Content-Type"), answer)
		}
		f := k.one(t)
		got := plogotlp.NewExportRequest()
		if err := got.UnmarshalProto(plainBody(t, f)); err != nil {
			t.Fatal(err)
		}
		if again, err := got.MarshalJSON(); err != nil || !bytes.Equal(again, logs) || f.Compression != telemetry.Zstd {
			t.Fatalf("%s: %s, %v", f.Compression, again, err)
		}
	}
	spans, err := someSpans().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if resp := post(h, "/v1/traces", jsonType, "", spans); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	got := ptraceotlp.NewExportRequest()
	if err := got.UnmarshalProto(plainBody(t, k.one(t))); err != nil || got.Traces().SpanCount() != 2 {
		t.Fatalf("%d spans, %v", got.Traces().SpanCount(), err)
	}
}

func TestWhereAFrameComesFrom(t *testing.T) {
	k := &keeper{}
	r := httptest.NewRequest(http.MethodPost, "/v1/logs", bytes.NewReader(marshal(t, someLogs())))
	r.Header.Set("Content-Type", protobufType)
	r.Header.Set(intake.TenantHeader, "team-a")
	r.Header.Set(intake.QueueIDHeader, "00000000000000ff")
	r.Header.Set(intake.SequenceHeader, "77")
	w := httptest.NewRecorder()
	New(k, Options{}).Handler().ServeHTTP(w, r)
	f := k.one(t)
	if f.Tenant != "team-a" || f.Origin != (telemetry.QueueID{7: 0xff}) || f.Sequence != 77 {
		t.Fatalf("%+v", f)
	}
	r = httptest.NewRequest(http.MethodPost, "/v1/logs", bytes.NewReader(marshal(t, someLogs())))
	r.Header.Set("Content-Type", protobufType)
	r.Header.Set(intake.QueueIDHeader, "zz")
	w = httptest.NewRecorder()
	New(k, Options{}).Handler().ServeHTTP(w, r)
	if w.Code != 400 {
		t.Fatalf("a bad queue id: %d", w.Code)
	}
	k.none(t)
}

func TestAnEmptyRequestIsAnsweredAndNotKept(t *testing.T) {
	k := &keeper{}
	h := New(k, Options{}).Handler()
	if resp := post(h, "/v1/logs", protobufType, "", nil); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	if resp := post(h, "/v1/traces", jsonType, "", []byte("{}")); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	k.none(t)
}

func TestRefusals(t *testing.T) {
	logs := marshal(t, someLogs())
	gz := compression.Compress(nil, logs, telemetry.Gzip)
	const limit = 64 << 10
	big := make([]byte, limit+1)
	bomb := func(c telemetry.Compression) []byte { return compression.Compress(nil, make([]byte, 16<<20), c) }
	cases := []struct {
		name, path, contentType, encoding string
		body                              []byte
		want                              int
	}{
		{"garbage", "/v1/logs", protobufType, "", []byte("\xff\xff not protobuf"), 400},
		{"cut short", "/v1/logs", protobufType, "", logs[:len(logs)-3], 400},
		{"garbage spans", "/v1/traces", protobufType, "", []byte{0x0a, 0xff}, 400},
		{"garbage JSON", "/v1/logs", jsonType, "", []byte(`{"resourceLogs": [`), 400},
		{"no JSON", "/v1/traces", jsonType, "", nil, 400},
		{"gzip cut short", "/v1/logs", protobufType, "gzip", gz[:len(gz)-9], 400},
		{"no gzip at all", "/v1/logs", protobufType, "gzip", logs, 400},
		{"no zstd at all", "/v1/logs", protobufType, "zstd", logs, 400},
		{"too large", "/v1/logs", protobufType, "", big, 413},
		{"gzip bomb", "/v1/logs", protobufType, "gzip", bomb(telemetry.Gzip), 413},
		{"zstd bomb", "/v1/logs", protobufType, "zstd", bomb(telemetry.Zstd), 413},
		{"JSON gzip bomb", "/v1/logs", jsonType, "gzip", bomb(telemetry.Gzip), 413},
		{"text", "/v1/logs", "text/plain", "", logs, 415},
		{"no content type", "/v1/logs", "", "", logs, 415},
		{"snappy", "/v1/logs", protobufType, "snappy", logs, 415},
		{"brotli", "/v1/logs", protobufType, "br", logs, 415},
		{"metrics", "/v1/metrics", protobufType, "", nil, 404},
		{"elsewhere", "/v1/profiles", jsonType, "", nil, 404},
	}
	k := &keeper{}
	r := New(k, Options{MaxBodyBytes: limit})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			resp := post(r.Handler(), c.path, c.contentType, c.encoding, c.body)
			if resp.StatusCode != c.want {
				t.Fatalf("got %s, want %d", resp.Status, c.want)
			}
			if s := readStatus(t, resp); s.Message == "" || s.Code == 0 {
				t.Fatalf("says nothing: %v", s)
			}
			k.none(t)
			if r.gate.Held() != 0 {
				t.Fatalf("%d bytes are still charged", r.gate.Held())
			}
		})
	}
}

// readStatus reads the google.rpc.Status that OTLP asks for.
func readStatus(t *testing.T, resp *http.Response) *spb.Status {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	s := &spb.Status{}
	if resp.Header.Get("Content-Type") == jsonType {
		err = protojson.Unmarshal(body, s)
	} else {
		err = proto.Unmarshal(body, s)
	}
	if err != nil {
		t.Fatalf("%q is no google.rpc.Status: %v", body, err)
	}
	return s
}

func TestOnlyPOST(t *testing.T) {
	w := httptest.NewRecorder()
	New(&keeper{}, Options{}).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/logs", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Fatalf("%d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestMetricsAreToldWhereToGo(t *testing.T) {
	resp := post(New(&keeper{}, Options{}).Handler(), "/v1/metrics", jsonType, "", nil)
	if s := readStatus(t, resp); !strings.Contains(s.Message, "/api/v1/write") {
		t.Fatalf("%v", s)
	}
}

func TestAppenderErrorsBecomeAnswers(t *testing.T) {
	full := telemetry.Throttled(errors.New("the lane is full"), 1500*time.Millisecond)
	cases := []struct {
		err   error
		want  int
		retry string
		code  codes.Code
	}{
		{full, 429, "2", codes.ResourceExhausted},
		{errors.New("disk"), 503, "", codes.Unavailable},
		{context.DeadlineExceeded, 503, "", codes.Unavailable},
	}
	for _, contentType := range []string{protobufType, jsonType} {
		for _, c := range cases {
			body := marshal(t, someLogs())
			if contentType == jsonType {
				body, _ = someLogs().MarshalJSON()
			}
			resp := post(New(&keeper{err: c.err}, Options{}).Handler(), "/v1/logs", contentType, "", body)
			s := status.FromProto(readStatus(t, resp))
			if resp.StatusCode != c.want || resp.Header.Get("Retry-After") != c.retry || s.Code() != c.code {
				t.Errorf("%v: %s, Retry-After %q, %s", c.err, resp.Status, resp.Header.Get("Retry-After"), s.Code())
			}
		}
	}
}

func TestBytesInFlightAreBounded(t *testing.T) {
	k := &keeper{wait: make(chan struct{}), enters: make(chan struct{})}
	h := New(k, Options{MaxInFlightBytes: 20 << 10}).Handler()
	body := marshal(t, someLogs())
	first := make(chan int)
	go func() { first <- post(h, "/v1/logs", protobufType, "", body).StatusCode }()
	<-k.enters
	resp := post(h, "/v1/logs", protobufType, "", body)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the second request, while the first is held: %s", resp.Status)
	}
	close(k.wait)
	if code := <-first; code != 200 {
		t.Errorf("the first request: %d", code)
	}
}

// A body that nests attribute values without end must end in 400, not in a stack that grows until the process dies.
func TestDeepNesting(t *testing.T) {
	const depth = 100_000
	open := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":`
	json := open + strings.Repeat(`{"arrayValue":{"values":[`, depth) + strings.Repeat(`]}}`, depth) + `}]}]}]}`
	r := New(&keeper{}, Options{})
	if resp := post(r.Handler(), "/v1/logs", jsonType, "", []byte(json)); resp.StatusCode != 400 {
		t.Fatal(resp.Status)
	}
}
