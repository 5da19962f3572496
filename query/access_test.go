package query_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/listen"
	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// rights are what everybody may do: "logs NAMESPACE", "get PATH", "post PATH".
type rights struct {
	mu    sync.Mutex
	may   map[string]bool
	err   error
	asked []string
}

func (r *rights) ask(what string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, what)
	return r.may[what], r.err
}

func (r *rights) Logs(_ context.Context, _ listen.Identity, namespace string) (bool, error) {
	return r.ask("logs " + namespace)
}

func (r *rights) Path(_ context.Context, _ listen.Identity, verb, path string) (bool, error) {
	return r.ask(verb + " " + path)
}

func (r *rights) set(what string, may bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.may == nil {
		r.may = map[string]bool{}
	}
	r.may[what] = may
}

// restrict serves the rig's store to a caller of these rights. The clock is a second further at each look.
func (r *rig) restrict(access query.Access) *rig {
	r.t.Helper()
	clock := time.Now()
	var mu sync.Mutex
	h := query.New(query.Options{
		Logs: r.store, Traces: r.store, Search: r.store, Queryable: r.store.Queryable(), Access: access,
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			clock = clock.Add(time.Second)
			return clock
		},
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h.ServeHTTP(w, req.WithContext(listen.WithIdentity(req.Context(), listen.Identity{Name: "jane"})))
	}))
	r.t.Cleanup(func() {
		server.Client().CloseIdleConnections()
		server.Close()
	})
	return &rig{r.t, r.store, server}
}

func in(namespace string, b *telemetry.Batch) *telemetry.Batch {
	resource := *b.Resource
	resource.Namespace = namespace
	b.Resource = &resource
	return b
}

// TestLimitsCountWhatIsShown: lines that are left out take nobody's place.
func TestLimitsCountWhatIsShown(t *testing.T) {
	r := newRig(t)
	r.write(in("pay", lines("till", 1, 99, 59, 39, 19)), lines("web", 2, 100, 60, 40, 20), in("", lines("none", 3, 98, 58)))
	a := &rights{}
	a.set("logs shop", true)
	jane := r.restrict(a)
	for params, want := range map[string]string{
		"":                             "web 100|web 60|web 40|web 20",
		"limit=3":                      "web 100|web 60|web 40",
		"tail=2":                       "web 40|web 20",
		"tail=3&limit=2":               "web 60|web 40",
		"follow=true&limit=4":          "web 100|web 60|web 40|web 20",
		"follow=true&tail=1&limit=1":   "web 20",
		"namespace=shop&limit=2":       "web 100|web 60",
		"pod=till":                     "",
		"text=9":                       "",
		"namespace=shop&pod=till":      "",
		"limit=9&container=app&tail=9": "web 100|web 60|web 40|web 20",
	} {
		if got := jane.bodies(params); got != want {
			t.Errorf("%s\n got %s\nwant %s", params, got, want)
		}
	}
	a.set("logs ", true)
	if got := jane.bodies("limit=5"); got != "web 100|till 99|none 98|web 60|till 59" {
		t.Errorf("all: %s", got)
	}
}

// TestARightThatIsTakenBackEndsAFollowedAnswer, and one of several namespaces only leaves that out.
func TestARightThatIsTakenBackEndsAFollowedAnswer(t *testing.T) {
	for _, namespace := range []string{"shop", ""} {
		r, a := newRig(t), &rights{}
		a.set("logs shop", true)
		a.set("logs pay", true)
		r.write(lines("web", 1, 9))
		jane := r.restrict(a)
		resp, err := jane.server.Client().Get(jane.server.URL + "/api/v1/logs?follow=true&namespace=" + namespace)
		if err != nil {
			t.Fatal(err)
		}
		rows := bufio.NewScanner(resp.Body)
		if !rows.Scan() || !strings.Contains(rows.Text(), "web 9") {
			t.Fatalf("%q", rows.Text())
		}
		a.set("logs shop", false)
		r.write(lines("web", 2, 8), in("pay", lines("till", 3, 7)))
		rows.Scan()
		want := "till 7"
		if namespace != "" {
			want = `is forbidden: User \"jane\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"shop\"`
		}
		if !strings.Contains(rows.Text(), want) || strings.Contains(rows.Text(), "web 8") {
			t.Errorf("namespace %q: %q", namespace, rows.Text())
		}
		resp.Body.Close()
	}
}

// failing is a store that says too much about why it fails.
type failing struct{ after int }

const secretError = "shard of namespace pay at 10.0.0.7 is broken"

func (failing) Namespaces(context.Context, string) ([]string, error) {
	return []string{"pay", "shop"}, nil
}

func (f failing) Logs(_ context.Context, _ telemetry.LogQuery, yield func(*telemetry.LogRecord) error) error {
	for range f.after {
		if err := yield(&telemetry.LogRecord{Resource: &telemetry.Resource{Namespace: "shop"}}); err != nil {
			return err
		}
	}
	return errors.New(secretError)
}

func (failing) Trace(_ context.Context, _ string, id telemetry.TraceID) (*telemetry.Trace, error) {
	if id == (telemetry.TraceID{0xab}) {
		return &telemetry.Trace{ID: id, Spans: []telemetry.SpanRecord{{Resource: &telemetry.Resource{Namespace: "shop", Pod: "web"}}}}, nil
	}
	return nil, errors.New(secretError)
}

func (failing) Services(context.Context, string, []string) ([]string, error) {
	return nil, errors.New(secretError)
}

func (failing) Operations(context.Context, string, string, []string) ([]telemetry.Operation, error) {
	return nil, errors.New(secretError)
}

func (failing) FindTraces(context.Context, telemetry.TraceQuery) ([]telemetry.TraceID, error) {
	return nil, errors.New(secretError)
}

// TestErrorsOfAStoreAreForThoseWhoMayReadAll, and for the audit log.
func TestErrorsOfAStoreAreForThoseWhoMayReadAll(t *testing.T) {
	for _, after := range []int{0, 1} {
		a := &rights{}
		a.set("logs shop", true)
		var log bytes.Buffer
		h := query.Audit(slog.New(slog.NewJSONHandler(&log, nil)), query.New(query.Options{Logs: failing{after}, Traces: failing{}, Search: failing{}, Access: a}))
		for _, path := range []string{
			"/api/v1/logs", "/api/v1/logs?follow=true", "/api/v1/logs?namespace=shop", "/api/v1/traces/cd000000000000000000000000000000", "/api/v1/traces/" + aroundID,
			"/jaeger/api/services", "/jaeger/api/operations?service=x", "/jaeger/api/services/x/operations", "/jaeger/api/traces", "/jaeger/api/traces/cd",
		} {
			for _, all := range []bool{false, true} {
				a.set("logs ", all)
				log.Reset()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				if told := strings.Contains(w.Body.String(), secretError); told != all {
					t.Errorf("%s, may read all %v: %d %s", path, all, w.Code, w.Body)
				}
				if !all && !strings.Contains(w.Body.String(), "its audit log says why") {
					t.Errorf("%s says nothing: %s", path, w.Body)
				}
				if !strings.Contains(log.String(), secretError) {
					t.Errorf("%s: the audit log does not say it: %s", path, log.String())
				}
			}
		}
	}
}

func TestNothingIsShownWhenNobodyCanTell(t *testing.T) {
	r, a := newRig(t), &rights{err: errors.New("10.0.0.1 does not answer")}
	r.write(lines("web", 1, 9))
	a.set("logs ", true)
	a.set("get /api/v1/query", true)
	jane := r.restrict(a)
	for _, path := range []string{"/api/v1/logs", "/api/v1/logs?namespace=shop", "/api/v1/traces/" + aroundID, "/api/v1/query?query=1", "/jaeger/api/services", "/jaeger/api/dependencies"} {
		if body := jane.get(path, http.StatusServiceUnavailable); strings.Contains(body, "10.0.0.1") || !strings.Contains(body, "cannot ask Kubernetes") {
			t.Errorf("%s: %s", path, body)
		}
	}
	w := httptest.NewRecorder()
	query.Guard(a, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("the guard answers %d", w.Code)
	}
}

// TestTheGuardAsksForThePathThatIsMeant: a right to /metrics* is none to what only begins so.
func TestTheGuardAsksForThePathThatIsMeant(t *testing.T) {
	for path, want := range map[string]string{
		"/metrics": "get /metrics", "/debug/pprof/": "get /debug/pprof/", "/metrics/../debug/pprof/heap": "get /debug/pprof/heap",
		"//debug//pprof/": "get /debug/pprof/", "/": "get /", "/metrics/%2e%2e/debug": "get /debug",
		"/-/reload": "post /-/reload",
	} {
		a := &rights{}
		w, req := httptest.NewRecorder(), httptest.NewRequest(strings.ToUpper(strings.Fields(want)[0]), "/", nil)
		if err := req.URL.UnmarshalBinary([]byte("http://x" + path)); err != nil {
			t.Fatal(err)
		}
		query.Guard(a, http.NotFoundHandler()).ServeHTTP(w, req)
		if !slices.Equal(a.asked, []string{want}) || w.Code != http.StatusForbidden {
			t.Errorf("%s: asked %q, answered %d", path, a.asked, w.Code)
		}
		a.set(want, true)
		w = httptest.NewRecorder()
		query.Guard(a, http.NotFoundHandler()).ServeHTTP(w, req)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: with the right %d", path, w.Code)
		}
	}
}

// TestWhatIsAroundATraceIsNotTold: neither lines nor metrics of a service that runs elsewhere under the same name.
func TestWhatIsAroundATraceIsNotTold(t *testing.T) {
	r, a := newRig(t), &rights{}
	a.set("logs shop", true)
	r.around()
	start := now.Add(-10 * time.Second).UnixNano()
	r.write(&telemetry.Batch{Resource: &telemetry.Resource{Namespace: "shop", Service: "mailer"}, Spans: []telemetry.Span{{TraceID: telemetry.TraceID{0xab}, SpanID: telemetry.SpanID{9}, StartUnixNano: start, EndUnixNano: start + 1}}})
	for _, kv := range [][]string{{"namespace", "shop", "pod", "web"}, {"namespace", "pay", "pod", "web"}, {"service", "mailer", "instance", "of-pay"}} {
		r.write(&telemetry.Batch{Samples: []telemetry.Sample{{
			Series:    &telemetry.Series{Labels: labels.FromStrings(append([]string{"__name__", "process_resident_memory_bytes"}, kv...)...)},
			UnixMilli: now.Add(-8 * time.Second).UnixMilli(), Value: 1,
		}}})
	}
	r.write(lines("web", 1, 9), in("pay", lines("web", 2, 9)), in("pay", lines("api", 3, 9)), in("", lines("web", 4, 9)))
	v := r.restrict(a).trace()
	got := fmt.Sprintf("%d, %v, %d of %s, %q", len(v.Spans), v.Hidden, len(v.Nearby), v.Nearby[0].Namespace, v.Warnings)
	if got != "2, 3 spans in namespaces you may not read, 1 of shop, []" || len(v.Processes) != 1 || v.Processes[0].Namespace != "shop" {
		t.Errorf("%s, processes %+v", got, v.Processes)
	}
	if all := r.trace(); all.Hidden != nil || len(all.Spans) != 5 || len(all.Nearby) < 2 || len(all.Processes) != 3 {
		t.Errorf("without restriction: %+v", all)
	}
}

func TestHiddenIsCounted(t *testing.T) {
	for want, h := range map[string]query.Hidden{
		"1 span in namespaces you may not read": {Spans: 1}, "2 lines in namespaces you may not read": {Lines: 2},
		"3 spans and 1 line in namespaces you may not read": {Spans: 3, Lines: 1},
	} {
		if h.String() != want {
			t.Errorf("%q is not %q", h, want)
		}
	}
}

// manyNamespaces claims to have stored too many of them.
type manyNamespaces struct{ failing }

func (manyNamespaces) Namespaces(context.Context, string) ([]string, error) {
	return make([]string, 2001), nil
}

func TestNamespacesAreBounded(t *testing.T) {
	h := query.New(query.Options{Logs: manyNamespaces{}, Access: &rights{}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/logs", nil))
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "name one") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestTheAuditLogIsBounded, and a request that panics has its line too.
func TestTheAuditLogIsBounded(t *testing.T) {
	var log bytes.Buffer
	h := query.Audit(slog.New(slog.NewJSONHandler(&log, nil)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
		fmt.Fprint(w, "four")
		panic(http.ErrAbortHandler)
	}))
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x?"+strings.Repeat("a", 1<<20), nil))
	}()
	var e struct {
		Query, Endpoint, Stage string
		Status, Bytes          int
	}
	if err := json.Unmarshal(log.Bytes(), &e); err != nil || len(e.Query) != 4<<10 || e.Endpoint != "GET /x" || e.Status != http.StatusTeapot || e.Bytes != 4 || e.Stage != "done" {
		t.Errorf("%v: %.300s", err, log.String())
	}
}
