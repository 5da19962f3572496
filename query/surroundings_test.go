package query_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

const aroundID = "ab000000000000000000000000000000"

// around writes a trace of the pods web and api and of a service without a pod, from ten seconds ago for two seconds.
func (r *rig) around() {
	start := now.Add(-10 * time.Second).UnixNano()
	for i, resource := range []*telemetry.Resource{
		{Namespace: "shop", Pod: "web", Service: "web"}, {Namespace: "pay", Pod: "api", Service: "api"}, {Service: "mailer", ServiceInstance: "m-2"}, {Service: "legacy"},
	} {
		r.write(&telemetry.Batch{Resource: resource, Spans: []telemetry.Span{{
			TraceID: telemetry.TraceID{0xab}, SpanID: telemetry.SpanID{byte(i + 1)}, StartUnixNano: start, EndUnixNano: start + int64(2*time.Second),
		}}})
	}
}

func (r *rig) trace() *query.TraceView {
	r.t.Helper()
	v := &query.TraceView{}
	if err := json.Unmarshal([]byte(r.get("/api/v1/traces/"+aroundID, http.StatusOK)), v); err != nil {
		r.t.Fatal(err)
	}
	return v
}

func TestNearbyLines(t *testing.T) {
	r := newRig(t)
	r.around()
	web, api, other, elsewhere := lines("web", 1, 11, 10, 9, 9, 8, 7), lines("api", 2, 9), lines("cron", 3, 9), lines("web", 4, 9)
	web.Logs[2].TraceID = telemetry.TraceID{0xab} // is the trace's own
	web.Logs[3].TraceID = telemetry.TraceID{0xcd} // is another one's
	api.Resource = &telemetry.Resource{Namespace: "pay", Pod: "api"}
	api.Logs[0].UnixNano--
	elsewhere.Resource = &telemetry.Resource{Namespace: "other", Pod: "web"}
	tenant := lines("web", 5, 9)
	tenant.Tenant = "b"
	for i := range web.Logs {
		web.Logs[i].Attrs = []telemetry.Attr{{Key: "i", Value: telemetry.Int(int64(i))}}
	}
	r.write(web, api, other, elsewhere, tenant)
	v := r.trace()
	var got []string
	for _, l := range v.Nearby {
		got = append(got, fmt.Sprintf("%s/%s %s %v %s", l.Namespace, l.Pod, l.Body, len(l.Attributes) > 0 && l.Attributes[0].Value.Int > 0, l.By))
	}
	want := []string{"shop/web web 10 true pod and time", "pay/api api 9 false pod and time", "shop/web web 8 true pod and time"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || v.NearbyCut || v.Warnings != nil || len(v.Logs) != 1 {
		t.Errorf("got %q, cut %v, warnings %v, lines %d; want %q", got, v.NearbyCut, v.Warnings, len(v.Logs), want)
	}
}

func TestNearbyLinesAreBounded(t *testing.T) {
	r := newRig(t)
	r.around()
	r.write(lines("web", 1, make([]int, 200)...)) // all of them now: after the trace
	if v := r.trace(); len(v.Nearby) != 0 || v.NearbyCut {
		t.Errorf("%d lines, cut %v", len(v.Nearby), v.NearbyCut)
	}
	ages := make([]int, 201)
	for i := range ages {
		ages[i] = 9
	}
	r.write(lines("web", 2, ages[:200]...))
	if v := r.trace(); len(v.Nearby) != 200 || v.NearbyCut {
		t.Errorf("%d lines, cut %v", len(v.Nearby), v.NearbyCut)
	}
	r.write(lines("web", 3, 9))
	if v := r.trace(); len(v.Nearby) != 200 || !v.NearbyCut {
		t.Errorf("%d lines, cut %v", len(v.Nearby), v.NearbyCut)
	}
}

func TestProcesses(t *testing.T) {
	r := newRig(t)
	r.around()
	write := func(cpu, memory float64, kv ...string) {
		for i := range 13 { // every ten seconds, until eight seconds ago, which is the trace's end
			at := now.Add(-8*time.Second - time.Duration(12-i)*10*time.Second).UnixMilli()
			sample := func(name string, v float64) telemetry.Sample {
				return telemetry.Sample{Series: &telemetry.Series{Labels: labels.FromStrings(append([]string{"__name__", name}, kv...)...)}, UnixMilli: at, Value: v}
			}
			r.write(&telemetry.Batch{Samples: []telemetry.Sample{sample("process_cpu_seconds_total", cpu*10*float64(i)), sample("process_resident_memory_bytes", memory)}})
		}
	}
	write(0.5, 100, "namespace", "shop", "pod", "web", "container", "app")
	write(0.25, 10, "namespace", "shop", "pod", "web", "container", "proxy")
	write(9, 9, "namespace", "other", "pod", "web")
	write(9, 9, "service", "mailer", "instance", "m-1")
	write(2, 20, "service", "mailer", "instance", "m-2")
	write(3, 30, "service", "legacy", "instance", "10.0.0.1:80")
	var got []string
	for _, p := range r.trace().Processes {
		got = append(got, fmt.Sprintf("%s/%s %s %s: %.2f cores, %v bytes, %v", p.Namespace, p.Pod, p.Service, p.Instance, *p.CPUCores, *p.ResidentBytes, p.Time.Sub(now)))
	}
	want := "/ legacy : 3.00 cores, 30 bytes, -8s\n/ mailer m-2: 2.00 cores, 20 bytes, -8s\nshop/web  : 0.75 cores, 110 bytes, -8s"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

type brokenLogs struct{}

func (brokenLogs) Namespaces(context.Context, string) ([]string, error) { return []string{"shop"}, nil }

func (brokenLogs) Logs(context.Context, telemetry.LogQuery, func(*telemetry.LogRecord) error) error {
	return errors.New("the index is broken")
}

// The trace comes without what is around it.
func TestSurroundingsFail(t *testing.T) {
	r := newRig(t)
	r.around()
	w := httptest.NewRecorder()
	query.New(query.Options{Traces: r.store, Logs: brokenLogs{}}).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/traces/"+aroundID, nil))
	var v query.TraceView
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK || len(v.Spans) != 4 || len(v.Warnings) != 1 ||
		v.Warnings[0] != "cannot read the lines without a trace id: the index is broken" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
