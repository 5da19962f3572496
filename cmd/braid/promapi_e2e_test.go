package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"testing"
	"time"

	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/braidhq/braid/testbed"
)

// The aggregator's endpoints answer what Prometheus answers over the same samples: data, status codes and kinds of errors.
func TestQueryEndpointsAnswerAsPrometheusDoes(t *testing.T) {
	prometheus := testbed.Prometheus(t)
	p := newPipeline(t, t.TempDir(), fmt.Sprintf(`  - name: local
    exemplars: passthrough
    store: {}
  - name: prom
    exemplars: passthrough
    remote_write: {url: %q, protobuf_message: io.prometheus.write.v2.Request}
`, prometheus+"/api/v1/write"))
	aggregator := p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	end := time.Now().Truncate(time.Second)
	const steps = 60
	for i := range steps {
		pushExemplars(t, "http://"+p.aggregatorHTTP, run, i, end.Add(time.Duration(i-steps+1)*time.Second).UnixMilli())
	}
	ours := "http://" + p.aggregatorWeb
	at := func(second int) string { return strconv.FormatInt(end.Unix()+int64(second), 10) }
	window := url.Values{"start": {at(-60)}, "end": {at(1)}}
	selector := fmt.Sprintf(`api_value{run=%q}`, run)
	count := "/api/v1/query?" + url.Values{"time": {at(0)}, "query": {fmt.Sprintf(`sum(count_over_time(%s[5m]))`, selector)}}.Encode()
	for _, base := range []string{ours, prometheus} {
		eventually(t, "every sample at "+base, func() (bool, error) {
			_, body := answerOf(t, base+count)
			return fmt.Sprint(body) == fmt.Sprintf(`map[data:map[result:[map[metric:map[] value:[%s %d]]] resultType:vector] status:success]`,
				strconv.FormatFloat(float64(end.Unix()), 'g', -1, 64), 3*steps), fmt.Errorf("%v\n%s", body, aggregator.tail())
		})
	}
	for _, request := range []struct {
		path  string
		query url.Values
	}{
		{"query", url.Values{"query": {selector}, "time": {at(0)}}},
		{"query", url.Values{"query": {selector + "[10s]"}, "time": {end.Format(time.RFC3339)}}},
		{"query", url.Values{"query": {"sum by (shard) (rate(" + selector + "[30s]))"}, "time": {at(0)}}},
		{"query", url.Values{"query": {"scalar(count(" + selector + "))"}, "time": {at(0)}}},
		{"query", url.Values{"query": {`"text"`}, "time": {at(0)}}},
		{"query", url.Values{"query": {"sum("}}},
		{"query", url.Values{"query": {selector}, "time": {"yesterday"}}},
		{"query", url.Values{"query": {selector}, "timeout": {"soon"}}},
		{"query_range", url.Values{"query": {selector}, "start": {at(-30)}, "end": {at(0)}, "step": {"5"}}},
		{"query_range", url.Values{"query": {"avg_over_time(" + selector + "[10s])"}, "start": {at(-30)}, "end": {at(0)}, "step": {"5s"}}},
		{"query_range", url.Values{"query": {selector}, "start": {at(0)}, "end": {at(-30)}, "step": {"5"}}},
		{"query_range", url.Values{"query": {selector}, "start": {at(-30)}, "end": {at(0)}, "step": {"0"}}},
		{"query_range", url.Values{"query": {selector}, "start": {"0"}, "end": {at(0)}, "step": {"1"}}},
		{"series", url.Values{"match[]": {selector}, "start": window["start"], "end": window["end"]}},
		{"series", window},
		{"labels", url.Values{"match[]": {selector}, "start": window["start"], "end": window["end"]}},
		{"label/shard/values", url.Values{"match[]": {selector}, "start": window["start"], "end": window["end"]}},
		{"label/nobody/values", url.Values{"match[]": {selector}}},
		{"query_exemplars", url.Values{"query": {"rate(" + selector + "[1m])"}, "start": window["start"], "end": window["end"]}},
	} {
		path := "/api/v1/" + request.path + "?" + request.query.Encode()
		wantStatus, want := answerOf(t, prometheus+path)
		gotStatus, got := answerOf(t, ours+path)
		delete(want, "error") // the words may differ
		delete(got, "error")
		if gotStatus != wantStatus || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %d %v\nwant %d %v", path, gotStatus, got, wantStatus, want)
		}
	}
	aggregator.stop(t)
}

// answerOf returns the answer's status and JSON.
func answerOf(t *testing.T, target string) (int, map[string]any) {
	t.Helper()
	resp, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var body map[string]any
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", target, err, text)
	}
	return resp.StatusCode, body
}

// pushExemplars pushes a sample of each of three series; that of the first has an exemplar.
func pushExemplars(t *testing.T, base, run string, step int, unixMilli int64) {
	t.Helper()
	r := &writev2.Request{Symbols: []string{"", "__name__", "api_value", "run", run, "shard", "a", "b", "c", "trace_id", fmt.Sprintf("%032x", step+1)}}
	for s := range 3 {
		series := writev2.TimeSeries{
			LabelsRefs: []uint32{1, 2, 3, 4, 5, uint32(6 + s)},
			Samples:    []writev2.Sample{{Value: float64(step*(s+1)) / 7, Timestamp: unixMilli}},
		}
		if s == 0 {
			series.Exemplars = []writev2.Exemplar{{LabelsRefs: []uint32{9, 10}, Value: float64(step), Timestamp: unixMilli}}
		}
		r.Timeseries = append(r.Timeseries, series)
	}
	pushRequest(t, base, r)
}
