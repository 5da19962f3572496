package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/braidhq/braid/diagnose"
)

// askDoctor runs the built doctor and returns what is not fine, by check, and the exit code.
func askDoctor(t *testing.T, args ...string) (what map[string]string, code int) {
	t.Helper()
	got := execute(t, append([]string{"doctor", "-o", "json", "--interval", "1s"}, args...)...)
	var report doctorReport
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v: %v", err, got)
	}
	what = map[string]string{}
	for _, f := range report.Findings {
		if f.Severity != diagnose.Fine {
			what[f.Check] += f.What + "\n"
		}
	}
	return what, got.code
}

// askUntil asks until every check of want has findings with the texts wanted.
func askUntil(t *testing.T, want map[string][]string, args ...string) {
	t.Helper()
	eventually(t, "the findings", func() (bool, error) {
		got, code := askDoctor(t, args...)
		for check, texts := range want {
			for _, text := range texts {
				if !strings.Contains(got[check], text) {
					return false, fmt.Errorf("%s lacks %q:\n%q", check, text, got)
				}
			}
		}
		if code != 1 {
			t.Errorf("exit code %d with %v", code, got)
		}
		return true, nil
	})
}

// pushAny pushes samples of about a hundred kilobytes, which may be refused, and returns the status.
func pushAny(ctx context.Context, base string, n int) (int, error) {
	request := &writev2.Request{Symbols: []string{"", "__name__", "doctor_value", "series"}}
	for i := range 2000 {
		request.Symbols = append(request.Symbols, fmt.Sprintf("%d-%x", i, (n*2000+i)*2654435761))
		request.Timeseries = append(request.Timeseries, writev2.TimeSeries{
			LabelsRefs: []uint32{1, 2, 3, uint32(len(request.Symbols) - 1)},
			Samples:    []writev2.Sample{{Value: sampleValue(n, i), Timestamp: time.Now().UnixMilli()}},
		})
	}
	raw, err := request.Marshal()
	if err != nil {
		return 0, err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, raw)))
	if err != nil {
		return 0, err
	}
	post.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	post.Header.Set("Content-Encoding", "snappy")
	post.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	resp, err := http.DefaultClient.Do(post)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// An agent that cannot read everything, and an aggregator three of whose exporters are away, one until its lane is full.
func TestDoctorOfARealPipeline(t *testing.T) {
	logs := t.TempDir()
	p := newPipeline(t, logs, `  - {name: local, store: {retention: 1h}}
  - {name: es, elasticsearch: {urls: ["http://127.0.0.1:1"]}}
  - {name: tempo, otlp: {url: "http://127.0.0.1:1"}}
  - {name: mimir, remote_write: {url: "http://127.0.0.1:1/api/v1/write?token=hunter2"}}
queue: {max_bytes: 1MiB}
`)
	writeFile(t, filepath.Join(logs, "shop_cart_uid1", "web", "0.log"), "2026-11-25T10:00:00.1Z stdout F {\"level\":\"error\"}\n2026-11-25T10:00:00.2Z stdout F b\n")
	writeFile(t, filepath.Join(logs, "shop_odd_uid2"), "a file where a pod's directory should be, which root cannot list either")
	agent := p.startAgent(t, "")
	agent.waitReady(t, p.agentWeb)
	agentURL, aggregatorURL := "http://"+p.agentWeb, "http://"+p.aggregatorWeb
	askUntil(t, map[string][]string{
		"log_delivery": {"2 lines were read and are not acknowledged"},
		"log_files":    {"The agent failed to list a directory of logs "},
		"exporters":    {"Forwarding to the aggregator does not get rid of logs: "},
	}, "--server", agentURL)

	aggregator := p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	resp, err := http.Post("http://"+p.aggregatorHTTP+"/v1/traces", "application/json", strings.NewReader(
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"a","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	pushRequest(t, "http://"+p.aggregatorHTTP, &writev2.Request{
		Symbols: []string{"", "__name__", "up", "instance", "skewed:1"},
		Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 3, 4}, Samples: []writev2.Sample{
			{Value: 1, Timestamp: time.Now().Add(time.Hour).UnixMilli()},
		}}},
	})
	fillLane(t, "http://"+p.aggregatorHTTP)
	stop, pushing := make(chan struct{}), make(chan struct{})
	go func() { // what is refused between two readings
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 1000; ; n++ {
			select {
			case <-stop:
				close(pushing)
				return
			case <-tick.C:
			}
			if _, err := pushAny(t.Context(), "http://"+p.aggregatorHTTP, n); err != nil {
				t.Error(err)
			}
		}
	}()
	askUntil(t, map[string][]string{
		"backpressure": {"The lane of samples is full, and senders are turned away (", `exporter "mimir" holds `},
		"clock":        {"Samples of 1 target lie more than a minute in the future: the clocks of the nodes that scraped them are ahead (skewed:1)."},
		"receivers":    {"Remote-write requests were answered 429 "},
		"exporters":    {`Exporter "tempo" does not get rid of spans: `, `Exporter "mimir" does not get rid of samples: `, `Exporter "es" takes no logs: 1 frame (`},
	}, "--server", aggregatorURL)
	bundle := filepath.Join(p.dir, "bundle.tar.gz")
	askDoctor(t, "--server", aggregatorURL, "--write-bundle", bundle, "--config", p.aggregatorConfig)
	close(stop)
	<-pushing
	checkBundle(t, bundle)
	checkTop(t, aggregatorURL)

	aggregator.stop(t)
	agent.stop(t)
}

// fillLane pushes until the aggregator has no room.
func fillLane(t *testing.T, base string) {
	t.Helper()
	for n := range 1000 {
		status, err := pushAny(t.Context(), base, n)
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusTooManyRequests {
			return
		}
	}
	t.Fatal("the lane does not fill")
}

// checkBundle holds that the bundle of a real process says the same again, and that the labels of its metrics are those
// that the doctor looks at.
func checkBundle(t *testing.T, bundle string) {
	t.Helper()
	got, code := askDoctor(t, "--bundle", bundle)
	if code != 1 || !strings.Contains(got["exporters"], `Exporter "mimir" does not get rid of samples: `) {
		t.Errorf("from the bundle: %d %q", code, got)
	}
	files := untar(t, bundle)
	for name, text := range files {
		if strings.Contains(text, "hunter2") || strings.HasSuffix(name, ".txt") && text == "" && name != "braid-support/metrics-spans.txt" {
			t.Errorf("%s has a secret or nothing:\n%.300s", name, text)
		}
	}
	if !strings.Contains(files["braid-support/goroutines.txt"], "aggregator.Run") || len(files["braid-support/heap.pb.gz"]) == 0 ||
		!strings.Contains(files["braid-support/config-1-aggregator.yaml"], "url: \"http://127.0.0.1:1/api/v1/write?removed\"") {
		t.Errorf("it lacks profiles or the configuration:\n%s", files["braid-support/config-1-aggregator.yaml"])
	}
	page, err := diagnose.Parse(strings.NewReader(files["braid-support/metrics-2.txt"]))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, labels := range diagnose.Metrics() {
		for _, s := range page.Samples(name) {
			seen++
			for _, label := range labels {
				if _, ok := s.Labels[label]; !ok {
					t.Errorf("%s has no label %s: %v", name, label, s.Labels)
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d series of the catalogue", seen)
	}
}

func checkTop(t *testing.T, server string) {
	t.Helper()
	got := execute(t, "top", "containers", "--server", server, "--interval", "100ms")
	if want := "shop       cart  web              0.00          0B        0.00\n"; !strings.HasSuffix(got.stdout, want) || got.code != 0 {
		t.Errorf("%v\nwant\n%s", got, want)
	}
	got = execute(t, "top", "metrics", "--server", server)
	if !strings.Contains(got.stdout, "doctor_value  ") || got.code != 0 {
		t.Errorf("%v", got)
	}
}
