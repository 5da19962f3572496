package sink_test

import (
	"bytes"
	"context"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/sink"
	"github.com/braidhq/braid/bench/tally"
	"github.com/braidhq/braid/telemetry"
)

func listen(t *testing.T, take sink.Take) *sink.Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := sink.Serve(ln, take)
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func post(t *testing.T, url string, body []byte, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// line is a log line as OpenTelemetry's own library writes it.
type line struct {
	second       int64
	stream, body string
}

func otlpLogs(t *testing.T, uid string, lines ...line) []byte {
	t.Helper()
	all := plog.NewLogs()
	rl := all.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("k8s.pod.uid", uid)
	for _, l := range lines {
		r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(time.Unix(l.second, 0)))
		r.Attributes().PutStr("log.iostream", l.stream)
		r.Attributes().PutStr("logtag", "F") // what one system adds is not the line's
		r.Body().SetStr(l.body)
	}
	body, err := plogotlp.NewExportRequestFromLogs(all).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func truthOf(uid string, lines ...line) (truth tally.Truth) {
	for _, l := range lines {
		record := telemetry.Log{UnixNano: l.second * 1e9, Stream: telemetry.Stdout, Body: []byte(l.body)}
		if l.stream == "stderr" {
			record.Stream = telemetry.Stderr
		}
		truth.Add(tally.Line(uid, &record).Content)
	}
	return truth
}

func TestLines(t *testing.T) {
	sent := []line{{1, "stdout", "one"}, {2, "stdout", "two"}, {3, "stderr", "three"}}
	for name, c := range map[string]struct {
		arrived []line
		wrong   string
	}{
		"all":                          {sent, ""},
		"in another order":             {[]line{sent[2], sent[0], sent[1]}, ""},
		"one lost":                     {sent[:2], "2 different records of 3, and 0 repeated"},
		"one repeated":                 {append(sent[:3:3], sent[1]), "3 different records of 3, and 1 repeated"},
		"one lost, another repeated":   {[]line{sent[0], sent[1], sent[1]}, "2 different records of 3, and 1 repeated"},
		"one too many":                 {append(sent[:3:3], line{4, "stdout", "four"}), "4 different records of 3"},
		"one cut":                      {[]line{sent[0], sent[1], {3, "stderr", "thre"}}, "not as they were sent"},
		"one in the other stream":      {[]line{sent[0], sent[1], {3, "stdout", "three"}}, "not as they were sent"},
		"two with each other's bodies": {[]line{{1, "stdout", "two"}, {2, "stdout", "one"}, sent[2]}, "not as they were sent"},
		"one at another time":          {[]line{sent[0], sent[1], {4, "stderr", "three"}}, "not as they were sent"},
	} {
		got := sink.Lines{Latency: true}
		s := listen(t, sink.Take{Logs: got.Take})
		if resp := post(t, s.URL()+"/v1/logs", otlpLogs(t, "uid", c.arrived...)); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		err := got.Check(truthOf("uid", sent...))
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, expected %q", name, err, c.wrong)
		}
		if got.Len() != len(c.arrived) || got.Quantile(0.99) < 24*time.Hour {
			t.Errorf("%s: %d lines, latency %v", name, got.Len(), got.Quantile(0.99))
		}
		if err := got.Check(truthOf("another pod", c.arrived...)); err == nil {
			t.Errorf("%s: lines of one pod pass for another's", name)
		}
	}
}

// remoteWrite posts one sample of each series, in both versions, as Prometheus' own types write it.
func remoteWrite(t *testing.T, base string, v2 bool, milli int64, series map[string]float64, more ...string) {
	t.Helper()
	var one prompb.WriteRequest
	two := writev2.Request{}
	symbols := writev2.NewSymbolTable()
	for name, v := range series {
		ls := labels.FromStrings(append([]string{model.MetricNameLabel, name}, more...)...)
		one.Timeseries = append(one.Timeseries, prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil), Samples: []prompb.Sample{{Timestamp: milli, Value: v}}})
		two.Timeseries = append(two.Timeseries, writev2.TimeSeries{LabelsRefs: symbols.SymbolizeLabels(ls, nil), Samples: []writev2.Sample{{Timestamp: milli, Value: v}}})
	}
	two.Symbols = symbols.Symbols()
	body, err := one.Marshal()
	kind := "application/x-protobuf"
	if v2 {
		body, err = two.Marshal()
		kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
	}
	if err != nil {
		t.Fatal(err)
	}
	resp := post(t, base+"/api/v1/write", snappy.Encode(nil, body), "Content-Encoding", "snappy", "Content-Type", kind)
	if resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
	if got := resp.Header.Get("X-Prometheus-Remote-Write-Samples-Written"); v2 && got != strconv.Itoa(len(series)) {
		t.Errorf("%q samples are said to be written", got)
	}
}

func TestSamples(t *testing.T) {
	var want tally.Truth
	for _, v := range []float64{1, 2.5} {
		want.Add(tally.Sample(tally.Series(labels.FromStrings(model.MetricNameLabel, "app_a", "instance", "i:1")), 0, v).Content)
	}
	for _, v2 := range []bool{false, true} {
		var got sink.Samples
		s := listen(t, sink.Take{Samples: got.Take})
		remoteWrite(t, s.URL(), v2, 1000, map[string]float64{"app_a": 1, "up": 1}, "instance", "i:1", "job", "x")
		if err := got.Check(want); err == nil {
			t.Errorf("v2 %v: one sample of two is enough", v2)
		}
		remoteWrite(t, s.URL(), v2, 2000, map[string]float64{"app_a": 2.5, "scrape_duration_seconds": 1}, "instance", "i:1", "job", "y", "otel_scope_name", "z")
		stale := map[string]float64{"app_a": math.Float64frombits(value.StaleNaN), "up": 0}
		remoteWrite(t, s.URL(), v2, 3000, stale, "instance", "i:1", "job", "x")
		if err := got.Check(want); err != nil {
			t.Errorf("v2 %v: %v", v2, err)
		}
		remoteWrite(t, s.URL(), v2, 2000, map[string]float64{"app_a": 2.5, "up": 1}, "instance", "i:1", "job", "x")
		if err := got.Check(want); err == nil || !strings.Contains(err.Error(), "1 repeated") {
			t.Errorf("v2 %v: a repeated sample: %v", v2, err)
		}
	}
}

func TestCalls(t *testing.T) {
	want := map[input.Call]uint64{
		{Service: "cart", Name: "GET /", Kind: "SPAN_KIND_SERVER", Status: "STATUS_CODE_UNSET"}: 5,
		{Service: "cart", Name: "GET /", Kind: "SPAN_KIND_CLIENT", Status: "STATUS_CODE_ERROR"}: 1,
	}
	for name, label := range map[string]string{"traces_spanmetrics_calls_total": "service", "traces_span_metrics_calls_total": "service_name"} {
		var got sink.Calls
		s := listen(t, sink.Take{Samples: got.Take})
		write := func(milli int64, n float64, more ...string) {
			remoteWrite(t, s.URL(), false, milli, map[string]float64{name: n}, append(more, label, "cart", "span_name", "GET /")...)
		}
		write(1000, 2, "span_kind", "SPAN_KIND_SERVER", "status_code", "STATUS_CODE_UNSET", "code", "200")
		write(1000, 1, "span_kind", "SPAN_KIND_SERVER", "status_code", "STATUS_CODE_UNSET", "code", "404")
		write(2000, 4, "span_kind", "SPAN_KIND_SERVER", "status_code", "STATUS_CODE_UNSET", "code", "200")
		if err := got.Check(want); err == nil || got.Len() != 5 {
			t.Errorf("%s: %d calls, %v", name, got.Len(), err)
		}
		write(2000, 1, "span_kind", "SPAN_KIND_CLIENT", "status_code", "STATUS_CODE_ERROR")
		if err := got.Check(want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		write(2000, 1, "span_kind", "SPAN_KIND_CLIENT", "status_code", "STATUS_CODE_OK")
		if err := got.Check(want); err == nil {
			t.Errorf("%s: a call that was never made goes unnoticed", name)
		}
	}
}

func firstSpans(r ptraceotlp.ExportRequest) ptrace.SpanSlice {
	return r.Traces().ResourceSpans().At(0).ScopeSpans().At(0).Spans()
}

func span(r ptraceotlp.ExportRequest) ptrace.Span { return firstSpans(r).At(0) }

func TestTraces(t *testing.T) {
	const seed = 3
	spans := input.NewSpans(seed, time.Now())
	request := ptraceotlp.NewExportRequest()
	if err := request.UnmarshalProto(spans.Next()); err != nil {
		t.Fatal(err)
	}
	all := sink.Rule{Must: func(input.Trace) bool { return true }, Share: 0}
	for name, c := range map[string]struct {
		change func(ptraceotlp.ExportRequest)
		rule   sink.Rule
		wrong  string
	}{
		"all":                  {func(ptraceotlp.ExportRequest) {}, all, ""},
		"too many":             {func(ptraceotlp.ExportRequest) {}, sink.Rule{Must: func(input.Trace) bool { return false }, Share: 0.1}, "100.0 % are kept"},
		"a span changed":       {func(r ptraceotlp.ExportRequest) { span(r).SetName("x") }, all, "not as they were sent"},
		"an attribute changed": {func(r ptraceotlp.ExportRequest) { span(r).Attributes().PutStr("url.path", "/") }, all, "not as they were sent"},
		"a span lost": {func(r ptraceotlp.ExportRequest) {
			n := 0
			firstSpans(r).RemoveIf(func(ptrace.Span) bool { n++; return n == 1 })
		}, all, "1 traces that must be kept are not there in full"},
		"a span repeated":  {func(r ptraceotlp.ExportRequest) { span(r).CopyTo(firstSpans(r).AppendEmpty()) }, all, "1 repeated"},
		"a span of nobody": {func(r ptraceotlp.ExportRequest) { firstSpans(r).AppendEmpty().SetTraceID([16]byte{1}) }, all, "was never sent"},
	} {
		changed := ptraceotlp.NewExportRequest()
		request.Traces().CopyTo(changed.Traces())
		c.change(changed)
		body, err := changed.MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		var got sink.Traces
		s := listen(t, sink.Take{Spans: got.Take})
		post(t, s.URL()+"/v1/traces", body)
		err = got.Check(spans.Traces, c.rule)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s (seed %d): %v, expected %q", name, seed, err, c.wrong)
		}
	}
}

func TestWhatCannotBeReadFailsTheRun(t *testing.T) {
	var lines sink.Lines
	s := listen(t, sink.Take{Logs: lines.Take})
	good := otlpLogs(t, "uid", line{1, "stdout", "one"})
	for _, c := range []struct {
		path, encoding string
		body           []byte
	}{
		{"/v1/logs", "", good[:len(good)-1]},
		{"/v1/logs", "gzip", good},
		{"/v1/logs", "br", good},
		{"/v1/traces", "", nil},
		{"/api/v1/write", "snappy", snappy.Encode(nil, nil)},
		{"/other", "", good},
	} {
		before := s.Err()
		if resp := post(t, s.URL()+c.path, c.body, "Content-Encoding", c.encoding); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %s: %s", c.path, c.encoding, resp.Status)
		}
		if err := s.Err(); err == nil || before != nil && err.Error() == before.Error() {
			t.Errorf("%s %s: %v", c.path, c.encoding, err)
		}
	}
	if lines.Len() != 0 {
		t.Errorf("%d lines were counted", lines.Len())
	}
}
