package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/braidhq/braid/testbed"
)

// samplesOf is the truth of the million-sample test: value of series s at step i, any float64 that JSON can carry.
func sampleValue(s, i int) float64 {
	r := rand.New(rand.NewPCG(uint64(s), uint64(i)))
	return math.Ldexp(r.Float64(), r.IntN(40)-20)
}

func pushSamples(t *testing.T, base, run string, series, step int, unixMilli int64) {
	t.Helper()
	request := &writev2.Request{Symbols: []string{"", "__name__", "e2e_value", "run", run, "shard", "series"}}
	for s := range series {
		request.Symbols = append(request.Symbols, strconv.Itoa(s), strconv.Itoa(s%10))
		last := uint32(len(request.Symbols))
		request.Timeseries = append(request.Timeseries, writev2.TimeSeries{
			LabelsRefs: []uint32{1, 2, 3, 4, 6, last - 2, 5, last - 1},
			Samples:    []writev2.Sample{{Value: sampleValue(s, step), Timestamp: unixMilli}},
		})
	}
	pushRequest(t, base, request)
}

// pushRequest pushes by remote-write 2.0 and wants all of it taken.
func pushRequest(t *testing.T, base string, request *writev2.Request) {
	t.Helper()
	raw, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, raw)))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	post.Header.Set("Content-Encoding", "snappy")
	post.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	resp, err := http.DefaultClient.Do(post)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("X-Prometheus-Remote-Write-Samples-Written") != strconv.Itoa(len(request.Timeseries)) {
		t.Fatalf("push answered %s, samples written %q", resp.Status, resp.Header.Get("X-Prometheus-Remote-Write-Samples-Written"))
	}
}

type matrix struct {
	Data struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Values [][2]any          `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

// A million samples pushed to the aggregator are in a real Prometheus with equal values.
func TestMillionSamplesReachPrometheus(t *testing.T) {
	prometheus := testbed.Prometheus(t)
	const series, steps = 1000, 1000
	p := newPipeline(t, t.TempDir(), fmt.Sprintf("  - name: prom\n    remote_write: {url: %q, protobuf_message: io.prometheus.write.v2.Request}\n", prometheus+"/api/v1/write"))
	aggregator := p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)

	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	end := time.Now().Truncate(time.Second)
	first := end.Add(-steps * time.Second)
	for i := range steps {
		pushSamples(t, "http://"+p.aggregatorHTTP, run, series, i, first.Add(time.Duration(i)*time.Second).UnixMilli())
	}
	query := func(expr string) (string, error) {
		return get(prometheus + "/api/v1/query?time=" + strconv.FormatInt(end.Unix(), 10) + "&query=" + url.QueryEscape(expr))
	}
	eventually(t, "a million samples in Prometheus", func() (bool, error) {
		body, err := query(fmt.Sprintf(`sum(count_over_time(e2e_value{run=%q}[30m]))`, run))
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		if err == nil {
			err = json.Unmarshal([]byte(body), &answer)
		}
		if err != nil || len(answer.Data.Result) != 1 {
			return false, fmt.Errorf("%w: %s\n%s", err, body, aggregator.tail())
		}
		return answer.Data.Result[0].Value[1] == strconv.Itoa(series*steps), fmt.Errorf("%v\n%s", answer.Data.Result[0].Value, aggregator.tail())
	})
	for shard := range 10 {
		body, err := query(fmt.Sprintf(`e2e_value{run=%q,shard="%d"}[30m]`, run, shard))
		if err != nil {
			t.Fatal(err)
		}
		var got matrix
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Data.Result) != series/10 {
			t.Fatalf("shard %d has %d series", shard, len(got.Data.Result))
		}
		for _, one := range got.Data.Result {
			compareSeries(t, one.Metric["series"], one.Values, first, steps)
		}
	}
	aggregator.stop(t)
}

func compareSeries(t *testing.T, name string, values [][2]any, first time.Time, steps int) {
	t.Helper()
	s, err := strconv.Atoi(name)
	if err != nil || len(values) != steps {
		t.Fatalf("series %q has %d samples", name, len(values))
	}
	for i, pair := range values {
		at, _ := pair[0].(float64)
		text, _ := pair[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || v != sampleValue(s, i) || int64(at) != first.Unix()+int64(i) {
			t.Fatalf("series %d step %d: %v at %v, expected %v", s, i, text, at, sampleValue(s, i))
		}
	}
}

// Samples that no exporter takes are taken from senders, counted and let go: they never fill the lane.
func TestSamplesWithoutAnExporterAreCountedAndLetGo(t *testing.T) {
	p := newPipeline(t, t.TempDir(), "  - name: away\n    elasticsearch: {urls: [\"http://127.0.0.1:1\"]}\n")
	aggregator := p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	pushSamples(t, "http://"+p.aggregatorHTTP, "none", 10, 1, time.Now().UnixMilli())
	eventually(t, "the frame is let go", func() (bool, error) {
		page, err := get("http://" + p.aggregatorWeb + "/metrics")
		return err == nil && metric(page, "braid_pipeline_out_frames_total", `cursor="unexported"`, `signal="samples"`) == 1, err
	})
	if !strings.Contains(aggregator.out.String(), "no exporter takes this signal") {
		t.Errorf("it does not say so:\n%s", aggregator.tail())
	}
	aggregator.stop(t)
}
