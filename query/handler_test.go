package query_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/store"
	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Now().Truncate(time.Second)

type rig struct {
	t      *testing.T
	store  *store.Store
	server *httptest.Server
}

func newRig(t *testing.T) *rig {
	reg := prometheus.NewRegistry()
	s, err := store.Open(store.Options{Dir: t.TempDir(), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	h := query.New(query.Options{
		Logs: s, Traces: s, Search: s, Queryable: s.Queryable(), ExemplarQueryable: s.ExemplarQueryable(), Registerer: reg,
		Now: func() time.Time { return now },
	})
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Client().CloseIdleConnections()
		server.Close()
	})
	return &rig{t, s, server}
}

func (r *rig) write(batches ...*telemetry.Batch) {
	r.t.Helper()
	if err := r.store.Write(r.t.Context(), batches); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) get(path string, status int) string {
	r.t.Helper()
	resp, err := r.server.Client().Get(r.server.URL + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != status {
		r.t.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	return string(body)
}

func lines(pod string, frame uint64, ages ...int) *telemetry.Batch {
	b := &telemetry.Batch{
		Resource:      &telemetry.Resource{Namespace: "shop", Pod: pod, Container: "app"},
		FramePosition: frame, ReceivedUnixNano: now.UnixNano(),
	}
	for i, age := range ages {
		b.Logs = append(b.Logs, telemetry.Log{
			UnixNano: now.Add(-time.Duration(age) * time.Second).UnixNano(), UID: telemetry.QueueUID(telemetry.QueueID{1}, frame, i),
			Severity: telemetry.SeverityInfo, Body: fmt.Appendf(nil, "%s %d", pod, age),
		})
	}
	return b
}

func (r *rig) bodies(params string) string {
	r.t.Helper()
	var all []string
	for row := range strings.Lines(r.get("/api/v1/logs?"+params, http.StatusOK)) {
		rec, err := query.DecodeLogLine([]byte(row))
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, string(rec.Body))
	}
	return strings.Join(all, "|")
}

func TestLogs(t *testing.T) {
	r := newRig(t)
	web := lines("web", 1, 100, 50, 10)
	web.Logs[1].Severity, web.Logs[1].TraceID = telemetry.SeverityError, telemetry.TraceID{0xab}
	tenant := lines("web", 3, 1)
	tenant.Tenant = "b"
	r.write(web, lines("api", 2, 60, 20), tenant)
	for _, c := range []struct{ params, want string }{
		{"", "web 100|api 60|web 50|api 20|web 10"},
		{"namespace=shop&pod=web&container=app", "web 100|web 50|web 10"},
		{"pod=web&pod=api&tail=1", "api 20|web 10"},
		{"limit=2", "web 100|api 60"},
		{"severity=warn", "web 50"},
		{"text=api", "api 60|api 20"},
		{"since=30s", "api 20|web 10"},
		{"since=1m30s&to=" + url.QueryEscape(now.Add(-50*time.Second).Format(time.RFC3339)), "api 60"},
		{fmt.Sprintf("from=%d", now.Unix()-50), "web 50|api 20|web 10"},
		{"trace_id=ab000000000000000000000000000000", "web 50"},
		{"namespace=none", ""},
		{"follow=true&limit=3", "web 100|api 60|web 50"},
	} {
		if got := r.bodies(c.params); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.params, got, c.want)
		}
	}
}

func TestBadParameters(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{
		"logs?colour=red", "logs?tail=-1", "logs?tail=x", "logs?limit=1.5", "logs?severity=loud", "logs?since=yesterday", "logs?since=-5s",
		"logs?from=never", "logs?to=1e99", "logs?from=1&since=5s", "logs?from=20&to=10", "logs?follow=perhaps", "logs?trace_id=12",
		"logs?namespace=a&namespace=b", "logs?a=%zz", "traces/xyz", "traces/00000000000000000000000000000000",
		"query?query=sum(", "query?query=1&time=x", "query?query=1&timeout=-1s", "query_range?query=1", "query_range?query=1&start=1&end=0&step=1",
		"query_range?query=1&start=1&end=2&step=0", "query_range?query=1&start=1&end=100000&step=1s", "series", "series?match[]={", "query_exemplars?query=(",
		"labels?start=x",
	} {
		body := r.get("/api/v1/"+path, http.StatusBadRequest)
		var e struct{ Status, ErrorType, Error string }
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Status != "error" || e.ErrorType != "bad_data" || e.Error == "" {
			t.Errorf("%s: %s", path, body)
		}
	}
}

// TestFollow reads what is stored, then lines as they come, each before the next is written, over one connection.
func TestFollow(t *testing.T) {
	r := newRig(t)
	r.write(lines("web", 1, 9))
	resp, err := r.server.Client().Get(r.server.URL + "/api/v1/logs?follow=true&pod=web")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rows := bufio.NewScanner(resp.Body)
	next := func() (*telemetry.LogRecord, error) {
		if !rows.Scan() {
			t.Fatalf("the answer ended: %v", rows.Err())
		}
		return query.DecodeLogLine(rows.Bytes())
	}
	for i := range 20 {
		rec, err := next()
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("web %d", 9-i); string(rec.Body) != want {
			t.Fatalf("got %q, want %q", rec.Body, want)
		}
		r.write(lines("api", uint64(2*i+2), 1), lines("web", uint64(2*i+3), 8-i))
	}
	if _, err := next(); err != nil { // the line written last
		t.Fatal(err)
	}
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := next(); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("the last row says %v", err)
	}
	if rows.Scan() {
		t.Errorf("a row after the last: %s", rows.Bytes())
	}
}

func TestErrorBeforeFirstByte(t *testing.T) {
	r := newRig(t)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if body := r.get("/api/v1/logs", http.StatusInternalServerError); !strings.Contains(body, `"errorType":"internal"`) {
		t.Error(body)
	}
	r.get("/api/v1/traces/ab000000000000000000000000000000", http.StatusInternalServerError)
}

func TestNothingConfigured(t *testing.T) {
	h := query.New(query.Options{})
	for _, path := range []string{"logs", "traces/ab000000000000000000000000000000", "query?query=1", "query_exemplars?query=a"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/"+path, nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestTrace(t *testing.T) {
	r := newRig(t)
	id := telemetry.TraceID{0xab}
	b := lines("web", 1, 5, 4)
	b.Logs[0].TraceID, b.Logs[0].SpanID, b.Logs[1].TraceID = id, telemetry.SpanID{1}, id
	b.Spans = []telemetry.Span{{TraceID: id, SpanID: telemetry.SpanID{1}, Name: "op", StartUnixNano: now.UnixNano(), EndUnixNano: now.UnixNano() + 7}}
	r.write(b)
	var v query.TraceView
	if err := json.Unmarshal([]byte(r.get("/api/v1/traces/AB000000000000000000000000000000", http.StatusOK)), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Spans) != 1 || v.Spans[0].Pod != "web" || len(v.Spans[0].Logs) != 1 || v.Spans[0].Logs[0].Body != "web 5" || len(v.Logs) != 1 || v.Logs[0].Body != "web 4" {
		t.Errorf("%+v", v)
	}
	if body := r.get("/api/v1/traces/cd000000000000000000000000000000", http.StatusNotFound); !strings.Contains(body, "not_found") {
		t.Error(body)
	}
}

func TestPrometheusAPI(t *testing.T) {
	r := newRig(t)
	at := now.UnixMilli()
	series := func(kv ...string) *telemetry.Series { return &telemetry.Series{Labels: labels.FromStrings(kv...)} }
	a, b := series("__name__", "m", "pod", "a"), series("__name__", "m", "pod", "b")
	r.write(&telemetry.Batch{Samples: []telemetry.Sample{
		{Series: a, UnixMilli: at - 10_000, Value: 1}, {Series: b, UnixMilli: at - 10_000, Value: 0.5},
		{Series: a, UnixMilli: at, Value: 2, Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "ab"), Value: 2, Ts: at, HasTs: true}}},
	}})
	sec := now.Unix()
	for _, c := range []struct{ path, want string }{
		{"query?query=m{pod=\"a\"}", fmt.Sprintf(`{"resultType":"vector","result":[{"metric":{"__name__":"m","pod":"a"},"value":[%d,"2"]}]}`, sec)},
		{fmt.Sprintf("query?query=sum(m)&time=%d.5", sec-5), fmt.Sprintf(`{"resultType":"vector","result":[{"metric":{},"value":[%d.5,"1.5"]}]}`, sec-5)},
		{"query?query=none", `{"resultType":"vector","result":[]}`},
		{"query?query=1%2B1", fmt.Sprintf(`{"resultType":"scalar","result":[%d,"2"]}`, sec)},
		{"query?query=m{pod=\"b\"}[1m]", fmt.Sprintf(`{"resultType":"matrix","result":[{"metric":{"__name__":"m","pod":"b"},"values":[[%d,"0.5"]]}]}`, sec-10)},
		{fmt.Sprintf("query_range?query=m{pod=\"a\"}&start=%d&end=%d&step=5", sec-10, sec),
			fmt.Sprintf(`{"resultType":"matrix","result":[{"metric":{"__name__":"m","pod":"a"},"values":[[%d,"1"],[%d,"1"],[%d,"2"]]}]}`, sec-10, sec-5, sec)},
		{fmt.Sprintf("query_range?query=none&start=%d&end=%d&step=5", sec-10, sec), `{"resultType":"matrix","result":[]}`},
		{"labels", `["__name__","pod"]`},
		{"labels?match[]=none", `[]`},
		{"label/pod/values", `["a","b"]`},
		{"label/pod/values?match[]=m{pod=\"b\"}&match[]=none", `["b"]`},
		{"series?match[]=m&match[]={pod=\"a\"}", `[{"__name__":"m","pod":"a"},{"__name__":"m","pod":"b"}]`},
		{"query_exemplars?query=rate(m[1m])", fmt.Sprintf(`[{"seriesLabels":{"__name__":"m","pod":"a"},"exemplars":[{"labels":{"trace_id":"ab"},"value":"2","timestamp":%d}]}]`, sec)},
		{"query_exemplars?query=1", `[]`},
		{"metadata", `{}`},
	} {
		path, params, _ := strings.Cut(c.path, "?")
		if q, err := url.ParseQuery(strings.ReplaceAll(params, "%2B", "+")); err == nil && !strings.Contains(params, "%") {
			params = q.Encode()
		}
		got := strings.TrimSpace(r.get("/api/v1/"+path+"?"+params, http.StatusOK))
		if want := `{"status":"success","data":` + c.want + `}`; got != want {
			t.Errorf("%s\n got %s\nwant %s", c.path, got, want)
		}
	}
	resp, err := r.server.Client().PostForm(r.server.URL+"/api/v1/query", url.Values{"query": {"label_replace(m, \"pod\", \"x\", \"\", \"\")"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(body), `"execution"`) {
		t.Errorf("%s: %s %v", resp.Status, body, err)
	}
}
