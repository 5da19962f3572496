package reckon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/braidhq/braid/demo/ledger"
)

// start is before every line but those of a day long gone.
var start = time.Now().Add(-time.Hour)

// shelf answers as an aggregator does, out of memory. Its rows grow while it is followed.
type shelf struct {
	mu     sync.Mutex
	grown  *sync.Cond
	rows   []row
	cut    int // follow streams end after so many rows, 0: never
	traces map[string][]StoredSpan
	counts map[string]map[string]int64
	calls  int
	late   Late
	shown  []Exemplar
	asked  []string
}

type row struct {
	at   time.Time
	text string
}

func newShelf(t *testing.T) (*shelf, *API) {
	t.Helper()
	s, mux := emptyShelf()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return s, &API{Base: server.URL, Client: server.Client()}
}

func emptyShelf() (*shelf, *http.ServeMux) {
	s := &shelf{traces: map[string][]StoredSpan{}, counts: map[string]map[string]int64{}}
	s.grown = sync.NewCond(&s.mu)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/logs", s.logs)
	mux.HandleFunc("GET /api/v1/traces/{id}", s.trace)
	mux.HandleFunc("GET /api/v1/query", s.query)
	mux.HandleFunc("GET /api/v1/query_exemplars", s.exemplars)
	mux.HandleFunc("GET /metrics/spans", s.spanMetrics)
	mux.HandleFunc("GET /metrics", s.metrics)
	return s, mux
}

func (s *shelf) add(i int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = append(s.rows, row{at, fmt.Sprintf(`{"time":%q,"stream":"stdout","container":"cart","trace_id":"t0","uid":"u%d","body":"line %d","unheard":{}}`,
		at.Format(time.RFC3339Nano), i, i)})
	s.grown.Broadcast()
}

func (s *shelf) logs(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.RawQuery)
	from, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("from"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	follow := r.URL.Query().Get("follow") == "true"
	stop := context.AfterFunc(r.Context(), func() { s.mu.Lock(); defer s.mu.Unlock(); s.grown.Broadcast() })
	defer stop()
	for i := 0; r.Context().Err() == nil; {
		if i < len(s.rows) {
			if !s.rows[i].at.Before(from) {
				fmt.Fprintln(w, s.rows[i].text)
			}
			i++
			if s.cut > 0 && follow && i%s.cut == 0 {
				s.cut++
				return
			}
			continue
		}
		if !follow {
			return
		}
		_ = http.NewResponseController(w).Flush()
		s.grown.Wait()
	}
}

func (s *shelf) trace(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans, known := s.traces[r.PathValue("id")]
	if !known {
		http.Error(w, "unknown trace", http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"trace_id": r.PathValue("id"), "spans": spans, "logs": []string{}})
}

func (s *shelf) query(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	expr := r.URL.Query().Get("query")
	_, rest, _ := strings.Cut(expr, `__name__="`)
	name, rest, _ := strings.Cut(rest, `"`)
	if !strings.Contains(rest, `job="shop"`) {
		http.Error(w, "no job in "+expr, http.StatusBadRequest)
		return
	}
	var result []string
	for service, n := range s.counts[name] {
		result = append(result, fmt.Sprintf(`{"metric":{"service":%q},"value":[1763683200.5,"%d"]}`, service, n))
	}
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, strings.Join(result, ","))
}

func (s *shelf) exemplars(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, past := range map[string]bool{"start": true, "end": false} {
		at, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get(key))
		if err != nil || at.Before(time.Now()) != past {
			http.Error(w, key, http.StatusBadRequest)
			return
		}
	}
	var data []string
	for _, e := range s.shown {
		data = append(data, fmt.Sprintf(`{"seriesLabels":{"__name__":%q,"job":%q},"exemplars":[{"labels":{"trace_id":%q,"span_id":%q},"value":"0.1","timestamp":1763683200.5}]}`,
			e.Name, e.Job, e.TraceID, e.SpanID))
	}
	fmt.Fprintf(w, `{"status":"success","data":[%s]}`, strings.Join(data, ","))
}

func (s *shelf) metrics(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(w, "# TYPE braid_links_late_total counter\nbraid_links_late_total{kind=\"error_line\"} %d\nbraid_links_late_total{kind=\"span\"} %d\n",
		s.late.Lines, s.late.Spans)
}

func (s *shelf) spanMetrics(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(w, "# TYPE traces_spanmetrics_calls_total counter\ntraces_spanmetrics_calls_total{service=\"a b\"} 2\n")
	fmt.Fprintf(w, "traces_spanmetrics_calls_total{service=\"c\"} %d\ntraces_spanmetrics_calls_total_other 100\nup 1\n", s.calls-2)
}

// fill makes s hold what truth says, but for what skip names.
func (s *shelf) fill(skipLine int) {
	for i := range 10 {
		if i != skipLine {
			s.add(i, time.Now())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range truth().Spans {
		s.traces[k.TraceID] = append(s.traces[k.TraceID], StoredSpan{SpanID: k.SpanID, Service: k.Service})
	}
	for k, n := range truth().Samples {
		if s.counts[k.Name] == nil {
			s.counts[k.Name] = map[string]int64{}
		}
		s.counts[k.Name][k.Service] = n
	}
	s.calls, s.shown = 10, shown
}

func TestReadBack(t *testing.T) {
	s, api := newShelf(t)
	s.fill(-1)
	s.late = Late{Spans: 3, Lines: 2}
	exemplars, err := api.Exemplars(t.Context(), start)
	if err != nil || !slices.Equal(exemplars, shown) {
		t.Fatalf("exemplars: %+v, %v", exemplars, err)
	}
	found, err := api.Read(t.Context(), truth(), exemplars, "shop", "shop", start)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := api.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	late, err := api.Late(t.Context())
	if err != nil || late != s.late {
		t.Fatalf("%+v late, %v", late, err)
	}
	seen := Observations{Calls: calls, Late: late, Exemplars: exemplars, Followed: 10}
	if got := Compare(truth(), found, &seen, &asConfigured); len(got.Broken) > 0 {
		t.Errorf("broken: %q", got.Broken)
	}
}

func TestTracesThatOnlyAnExemplarNamesAreLookedUp(t *testing.T) {
	s, api := newShelf(t)
	s.traces["elsewhere"] = []StoredSpan{{SpanID: "s", Service: "cart"}}
	found, err := api.Read(t.Context(), truth(), []Exemplar{{TraceID: "elsewhere"}, {}}, "shop", "shop", start)
	if err != nil || found.Spans[SpanKey{"cart", "elsewhere", "s"}] != 1 {
		t.Errorf("got %v, %v", found.Spans, err)
	}
}

func TestBodiesThatAreNotUTF8(t *testing.T) {
	s, api := newShelf(t)
	raw := []byte{'a', 0xff, 0}
	s.rows = []row{{time.Now(), fmt.Sprintf(`{"time":"2026-11-20T00:00:00Z","body":"","body_base64":%q}`, base64.StdEncoding.EncodeToString(raw))}}
	n := 0
	err := api.Logs(t.Context(), "shop", start, false, func(l *LogLine) {
		n++
		if ledger.SumOf(l.Bytes()) != ledger.SumOf(raw) {
			t.Errorf("got %q", l.Bytes())
		}
	})
	if err != nil || n != 1 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestAnswersThatBreakOffAreErrors(t *testing.T) {
	for _, text := range []string{`{"time":"2026-11-20T00:00:00Z","bo`, `{"error":"the store is closed"}`} {
		s, api := newShelf(t)
		s.fill(-1)
		s.rows = append(s.rows, row{time.Now(), text})
		if _, err := api.Read(t.Context(), truth(), nil, "shop", "shop", start); err == nil {
			t.Errorf("%s: taken for a whole answer", text)
		}
	}
}

func TestFailedRequestsFailTheReading(t *testing.T) {
	s, api := newShelf(t)
	s.fill(-1)
	if _, err := api.Read(t.Context(), truth(), nil, "shop", "not the job", start); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("got %v", err)
	}
}

func TestReckonerWaitsForWhatIsLate(t *testing.T) {
	s, api := newShelf(t)
	s.fill(7)
	said := make(chan string, 100)
	r := &Reckoner{
		API: api, Written: truth(), Namespace: "shop", Job: "shop", From: start, Terms: asConfigured, Follower: followed(t, api, 9),
		Patience: time.Minute, Poll: time.Millisecond, Progress: func(text string) { said <- text },
	}
	go func() {
		<-said
		s.add(7, time.Now())
	}()
	got, err := r.Reckon(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Broken) > 0 || got.Logs.Stored != 10 {
		t.Errorf("got %+v", got)
	}
}

func TestReckonerReadsOnceMoreForLateDuplicates(t *testing.T) {
	s, api := newShelf(t)
	s.fill(-1)
	f := followed(t, api, 10)
	asked := 0
	twice := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/metrics/spans" { // nearly the end of a reading
			if asked++; asked == 1 {
				defer s.add(7, time.Now())
			}
		}
		return api.Client.Transport.RoundTrip(r)
	})
	r := &Reckoner{
		API: &API{Base: api.Base, Client: &http.Client{Transport: twice}}, Written: truth(), Namespace: "shop", Job: "shop",
		From: start, Terms: asConfigured, Follower: f, Patience: time.Minute, Poll: time.Millisecond, Progress: func(string) {},
	}
	got, err := r.Reckon(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Logs.Duplicated != 1 || len(got.Broken) == 0 {
		t.Errorf("got %+v", got)
	}
}

func TestTheLastReadingComesWhenAllIsDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mux := emptyShelf()
		s.fill(-1)
		var ends []time.Time
		inside := roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/metrics/spans" {
				ends = append(ends, time.Now())
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			return w.Result(), nil
		})
		api := &API{Base: "http://shelf", Client: &http.Client{Transport: inside}}
		f := NewFollower(api, "shop", time.Now())
		for i := range 10 {
			f.see(&LogLine{UID: fmt.Sprint(i), Time: time.Now()})
		}
		r := &Reckoner{
			API: api, Written: truth(), Namespace: "shop", Job: "shop", From: time.Now().Add(-time.Hour), Terms: asConfigured, Follower: f,
			Patience: time.Minute, Poll: time.Second, Settle: 5 * time.Second, Progress: func(string) {},
		}
		got, err := r.Reckon(t.Context())
		if err != nil || len(got.Broken) > 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if len(ends) != 2 || ends[1].Sub(ends[0]) != 5*time.Second {
			t.Errorf("read at %v", ends)
		}
	})
}

func TestReckonerGivesUp(t *testing.T) {
	s, api := newShelf(t)
	s.fill(7)
	r := &Reckoner{
		API: api, Written: truth(), Namespace: "shop", Job: "shop", From: start, Terms: asConfigured, Follower: followed(t, api, 9),
		Patience: 50 * time.Millisecond, Poll: time.Millisecond, Progress: func(string) {},
	}
	got, err := r.Reckon(t.Context())
	if err != nil || got.Logs.Lost != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	r.API = &API{Base: "http://127.0.0.1:1", Client: http.DefaultClient}
	if _, err := r.Reckon(t.Context()); err == nil {
		t.Error("reckoned without an aggregator")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// followed returns a running follower that has seen n lines.
func followed(t *testing.T, api *API, n int) *Follower {
	t.Helper()
	f := NewFollower(api, "shop", start)
	f.retry = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	waitSeen(t, f, n)
	return f
}

func waitSeen(t *testing.T, f *Follower, n int) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for f.Seen() < n {
		select {
		case <-deadline:
			t.Fatalf("the follower saw %d lines, want %d", f.Seen(), n)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestFollowerSurvivesBreaksAndCountsLinesOnce(t *testing.T) {
	s, api := newShelf(t)
	s.cut = 3
	s.fill(-1)
	f := followed(t, api, 10)
	for i := 10; i < 20; i++ {
		// Some come late: what a tailer had to hold back while the stream was broken.
		s.add(i, time.Now().Add(-time.Duration(i%2)*time.Minute))
	}
	waitSeen(t, f, 20)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) < 3 {
		t.Errorf("the stream was opened %d times", len(s.asked))
	}
	if f.Seen() != 20 {
		t.Errorf("saw %d lines", f.Seen())
	}
	if !strings.Contains(s.asked[0], "follow=true") || !strings.Contains(s.asked[0], "namespace=shop") {
		t.Errorf("asked %s", s.asked[0])
	}
}

func TestDelaysAreFromEventTimeToSight(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	f := NewFollower(nil, "shop", start)
	for i := range 100 {
		f.now = func() time.Time { return start.Add(time.Hour) }
		f.see(&LogLine{UID: fmt.Sprint(i), Time: start.Add(time.Hour - time.Duration(i+1)*time.Millisecond)})
		f.see(&LogLine{UID: fmt.Sprint(i), Time: start})
	}
	p50, p99 := f.Percentiles()
	if p50 != 50*time.Millisecond || p99 != 99*time.Millisecond {
		t.Errorf("p50 %s, p99 %s", p50, p99)
	}
	if p50, p99 = NewFollower(nil, "shop", start).Percentiles(); p50 != 0 || p99 != 0 {
		t.Errorf("of nothing: %s, %s", p50, p99)
	}
}

// A follower that runs for hours forgets, but never what a new request would bring again.
func TestFollowerForgetsWhatIsOld(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	f := NewFollower(nil, "shop", start)
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
	for i := range 4 * 3600 {
		f.see(&LogLine{UID: fmt.Sprint(i), Time: at(i)})
		if from := f.from(); i%100 == 0 && from.After(start) {
			f.see(&LogLine{UID: fmt.Sprint(int(from.Sub(start).Seconds())), Time: from})
		}
	}
	if f.Seen() != 4*3600 {
		t.Errorf("saw %d lines, want %d: something came twice", f.Seen(), 4*3600)
	}
	if n := len(f.recent[0]) + len(f.recent[1]); n > 1300 {
		t.Errorf("remembers %d lines", n)
	}
}
