package query_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/braidhq/braid/exporters/elasticsearch"
	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/store"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

var _ = []query.TraceSearch{(*store.Store)(nil), (*elasticsearch.Reader)(nil)}

var traceStart = time.Date(2026, 1, 1, 12, 0, 0, 123_456_789, time.UTC)

// checkoutTrace is a trace of two services as an SDK sends it: attributes of every kind, events, a link, an error.
func checkoutTrace() ptrace.Traces {
	td := ptrace.NewTraces()
	id := pcommon.TraceID{0: 0, 1: 0x0b, 15: 1}
	span := func(service string, n, parent byte, kind ptrace.SpanKind, name string, from, to time.Duration) ptrace.Span {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", service)
		rs.Resource().Attributes().PutStr("k8s.pod.name", service+"-0")
		rs.Resource().Attributes().PutStr("host.arch", "arm64")
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("otelhttp")
		s := ss.Spans().AppendEmpty()
		s.SetTraceID(id)
		s.SetSpanID(pcommon.SpanID{7: n})
		if parent != 0 {
			s.SetParentSpanID(pcommon.SpanID{7: parent})
		}
		s.SetKind(kind)
		s.SetName(name)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(traceStart.Add(from)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(traceStart.Add(to)))
		return s
	}
	root := span("shop", 1, 0, ptrace.SpanKindServer, "POST /checkout", 0, 90*time.Millisecond)
	a := root.Attributes()
	a.PutStr("http.route", "/checkout")
	a.PutInt("http.status_code", 500)
	a.PutDouble("load", 0.5)
	a.PutBool("cached", false)
	a.PutEmptyBytes("key").FromRaw([]byte{0, 255})
	a.PutEmptySlice("items").AppendEmpty().SetInt(7)
	root.Status().SetCode(ptrace.StatusCodeError)
	root.Status().SetMessage("card refused")
	event := root.Events().AppendEmpty()
	event.SetName("exception")
	event.SetTimestamp(pcommon.NewTimestampFromTime(traceStart.Add(50 * time.Millisecond)))
	event.Attributes().PutStr("exception.type", "Refused")
	event.Attributes().PutInt("attempt", 2)
	link := root.Links().AppendEmpty()
	link.SetTraceID(pcommon.TraceID{0xcc})
	link.SetSpanID(pcommon.SpanID{0xdd})
	span("payment", 2, 1, ptrace.SpanKindClient, "pay", 20*time.Millisecond, 10*time.Millisecond)
	return td
}

// writeTraces stores td as a receiver and a queue would pass it on.
func (r *rig) writeTraces(td ptrace.Traces) {
	r.t.Helper()
	body, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		r.t.Fatal(err)
	}
	batches, err := otlp.NewDecoder().Spans(body)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(batches...)
}

const checkoutID = "000b0000000000000000000000000001"

func TestJaegerTrace(t *testing.T) {
	r := newRig(t)
	r.writeTraces(checkoutTrace())
	line := lines("shop-0", 1, 0)
	line.Logs[0].TraceID, line.Logs[0].SpanID = telemetry.TraceID{1: 0x0b, 15: 1}, telemetry.SpanID{7: 1}
	line.Logs[0].UnixNano = traceStart.Add(60 * time.Millisecond).UnixNano()
	line.Logs[0].Body = []byte("cannot pay: \xff")
	r.write(line)
	want, err := os.ReadFile("testdata/jaeger_trace.json")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, path := range []string{"/jaeger/api/traces/" + checkoutID, "/jaeger/api/traces/b0000000000000000000000000001", "/jaeger/api/traces?traceID=" + checkoutID} {
		got.Reset()
		if err := json.Indent(&got, []byte(r.get(path, http.StatusOK)), "", "  "); err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s\n got %s\nwant %s", path, got.String(), want)
		}
	}
}

// jaegerFound are the trace ids of an answer, by their last byte.
func (r *rig) jaegerFound(params string) string {
	r.t.Helper()
	var answer struct {
		Data []struct {
			TraceID string
			Spans   []struct{ SpanID string }
		}
		Total int
	}
	if err := json.Unmarshal([]byte(r.get("/jaeger/api/traces?"+params, http.StatusOK)), &answer); err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for _, t := range answer.Data {
		if len(t.Spans) == 0 {
			r.t.Errorf("trace %s came without spans", t.TraceID)
		}
		ids = append(ids, t.TraceID[len(t.TraceID)-1:])
	}
	if answer.Total != len(ids) {
		r.t.Errorf("%d traces, and total says %d", len(ids), answer.Total)
	}
	return strings.Join(ids, " ")
}

func TestJaegerSearch(t *testing.T) {
	r := newRig(t)
	for i := range 4 { // a minute apart, each longer than the one before
		td := checkoutTrace()
		shift := func(at pcommon.Timestamp) pcommon.Timestamp {
			return at + pcommon.Timestamp(i)*pcommon.Timestamp(time.Minute)
		}
		for j := range td.ResourceSpans().Len() {
			s := td.ResourceSpans().At(j).ScopeSpans().At(0).Spans().At(0)
			s.SetTraceID(pcommon.TraceID{15: byte(i + 1)})
			s.SetStartTimestamp(shift(s.StartTimestamp()))
			s.SetEndTimestamp(shift(s.EndTimestamp()) + pcommon.Timestamp(i)*pcommon.Timestamp(time.Second))
			s.Attributes().PutInt("n", int64(i))
			if i == 2 {
				s.Status().SetCode(ptrace.StatusCodeOk)
			}
		}
		r.writeTraces(td)
	}
	micros := func(d time.Duration) int64 { return traceStart.Add(d).UnixMicro() }
	for _, c := range []struct{ params, want string }{
		{"service=shop", "4 3 2 1"},
		{"", "4 3 2 1"},
		{"service=shop&limit=2", "4 3"},
		{"service=nobody", ""},
		{"service=payment&operation=pay", "4 3 2 1"},
		{"service=payment&operation=POST+/checkout", ""},
		{"service=shop&tags=" + url.QueryEscape(`{"n":"1"}`), "2"},
		{"service=shop&tags=" + url.QueryEscape(`{"http.status_code":"500","cached":"false","load":"0.5","http.route":"/checkout"}`), "4 3 2 1"},
		{"service=shop&tag=n:3&tag=k8s.pod.name:shop-0", "4"},
		{"service=shop&tag=n:3&tag=k8s.pod.name:shop-1", ""},
		{"service=shop&tags=" + url.QueryEscape(`{"error":"true"}`), "4 2 1"},
		{"service=shop&tag=error:false", "3"},
		{"service=shop&tag=error:true&tag=otel.status_code:OK", ""},
		{"service=payment&tag=span.kind:client", "4 3 2 1"},
		{"service=payment&tag=span.kind:server", ""},
		{"service=shop&minDuration=1s", "4 3 2"},
		{"service=shop&minDuration=1s&maxDuration=2.5s", "3 2"},
		{fmt.Sprintf("service=shop&start=%d&end=%d", micros(time.Minute), micros(2*time.Minute)), "3 2"},
		{fmt.Sprintf("service=shop&start=%d&end=%d&lookback=custom", micros(time.Second), micros(time.Minute-time.Second)), ""},
		{"traceID=3&traceID=1", "3 1"},
	} {
		if got := r.jaegerFound(c.params); got != c.want {
			t.Errorf("%s: found %q, want %q", c.params, got, c.want)
		}
	}
}

func TestJaegerNames(t *testing.T) {
	r := newRig(t)
	const none = `{"data":[],"total":0,"limit":0,"offset":0,"errors":null}` + "\n"
	for _, path := range []string{"services", "services/shop/operations", "operations?service=shop", "traces?service=shop", "dependencies?endTs=1&lookback=2"} {
		if got := r.get("/jaeger/api/"+path, http.StatusOK); got != none {
			t.Errorf("%s of an empty store: %s", path, got)
		}
	}
	r.writeTraces(checkoutTrace())
	slash := checkoutTrace()
	slash.ResourceSpans().At(0).Resource().Attributes().PutStr("service.name", "team/shop")
	r.writeTraces(slash)
	for path, want := range map[string]string{
		"services":                                   `["payment","shop","team/shop"]`,
		"services/shop/operations":                   `["POST /checkout"]`,
		"services/team%2Fshop/operations":            `["POST /checkout"]`,
		"operations?service=payment":                 `[{"name":"pay","spanKind":"client"}]`,
		"operations?service=payment&spanKind=server": `[]`,
	} {
		if got := r.get("/jaeger/api/"+path, http.StatusOK); !strings.HasPrefix(got, `{"data":`+want+`,"total":`) {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestJaegerFailures(t *testing.T) {
	r := newRig(t)
	for path, status := range map[string]int{
		"traces/abc": 404, "traces/xyz": 400, "traces/0": 400, "traces/" + strings.Repeat("1", 33): 400, "traces?limit=0": 400, "traces?limit=many": 400,
		"traces?start=yesterday": 400, "traces?end=-1": 400, "traces?minDuration=5": 400, "traces?minDuration=5s&maxDuration=1s": 400,
		"traces?tags=x": 400, "traces?tags=" + url.QueryEscape(`{"a":1}`): 400, "traces?tag=a": 400, "traces?traceID=q": 400, "operations": 400, "traces?a=%zz": 400,
	} {
		var answer struct {
			Data   any
			Errors []struct {
				Code int
				Msg  string
			}
		}
		body := r.get("/jaeger/api/"+path, status)
		if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Data != nil || len(answer.Errors) != 1 || answer.Errors[0].Code != status || answer.Errors[0].Msg == "" {
			t.Errorf("%s: %s", path, body)
		}
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"services", "services/a/operations", "operations?service=a", "traces", "traces/1"} {
		if body := r.get("/jaeger/api/"+path, http.StatusInternalServerError); !strings.Contains(body, "store is closed") {
			t.Errorf("%s: %s", path, body)
		}
	}
	bare := httptest.NewServer(query.New(query.Options{}))
	defer bare.Close()
	resp, err := bare.Client().Get(bare.URL + "/jaeger/api/services")
	if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without a store: %v, %v", resp.Status, err)
	}
}

// hugeTraces knows four traces of 50,000 spans each.
type hugeTraces struct{ query.TraceSearch }

func (hugeTraces) FindTraces(context.Context, telemetry.TraceQuery) ([]telemetry.TraceID, error) {
	return []telemetry.TraceID{{1}, {2}, {3}, {4}}, nil
}

func (hugeTraces) Trace(_ context.Context, _ string, id telemetry.TraceID) (*telemetry.Trace, error) {
	return &telemetry.Trace{ID: id, Spans: make([]telemetry.SpanRecord, 50_000)}, nil
}

func TestJaegerAnswersAreBounded(t *testing.T) {
	w := httptest.NewRecorder()
	query.New(query.Options{Traces: hugeTraces{}, Search: hugeTraces{}}).ServeHTTP(w, httptest.NewRequest("GET", "/jaeger/api/traces?service=a", nil))
	if _, tail, _ := strings.Cut(w.Body.String(), `"processes":{"p1":{"serviceName":"","tags":[]}},"warnings":null},`); !strings.HasSuffix(tail,
		`"warnings":["the answer ends here after 100000 spans: 2 more traces match"]}],"total":2,"limit":0,"offset":0,"errors":null}`+"\n") {
		t.Errorf("the answer ends with %q", tail[max(0, len(tail)-200):])
	}
}
