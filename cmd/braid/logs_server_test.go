package main

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// lineShelf is a store of a few lines behind the real query API. It remembers the questions and does not filter: that is
// the stores' business.
type lineShelf struct {
	mu        sync.Mutex
	questions []telemetry.LogQuery
	answers   [][]telemetry.LogRecord // one a question, the last one again and again
	err       error                   // after the lines
}

func (s *lineShelf) Namespaces(context.Context, string) ([]string, error) { return nil, nil }

func (s *lineShelf) Logs(ctx context.Context, q telemetry.LogQuery, yield func(*telemetry.LogRecord) error) error {
	s.mu.Lock()
	answer := s.answers[min(len(s.questions), len(s.answers)-1)]
	s.questions = append(s.questions, q)
	last := len(s.questions) >= len(s.answers)
	s.mu.Unlock()
	for i := range answer {
		if err := yield(&answer[i]); err != nil {
			return err
		}
	}
	if q.Follow && last {
		<-ctx.Done()
	}
	return s.err
}

func (s *lineShelf) asked() []telemetry.LogQuery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]telemetry.LogQuery(nil), s.questions...)
}

func serve(t testing.TB, s *lineShelf) string {
	t.Helper()
	server := httptest.NewServer(query.New(query.Options{Logs: s}))
	t.Cleanup(server.Close)
	return server.URL
}

// stored returns a line of a pod; its second is its uid too.
func stored(second int64, pod, container, body string) telemetry.LogRecord {
	r := telemetry.LogRecord{Resource: &telemetry.Resource{Namespace: "shop", Pod: pod, Container: container, Restart: 0}}
	r.UnixNano, r.Stream, r.Body = second*1e9, telemetry.Stdout, []byte(body)
	r.UID = telemetry.FileUID(telemetry.FileID{1}, second)
	return r
}

func partial(r telemetry.LogRecord) telemetry.LogRecord {
	r.Flags |= telemetry.Partial
	return r
}

func TestLogsFromServer(t *testing.T) {
	lines := []telemetry.LogRecord{
		stored(1, "cart-5d-a", "web", "one"),
		partial(stored(2, "cart-5d-a", "web", "two and ")),
		stored(3, "cart-5d-a", "web", "its end"),
		partial(stored(4, "cart-5d-a", "side", "no end")),
		stored(5, "cart-5d-b", "web", "b \xff"),
	}
	base := serve(t, &lineShelf{answers: [][]telemetry.LogRecord{lines}})
	for _, test := range []struct{ args, stdout string }{
		{"cart-5d-a", "one\ntwo and its end\nno end\nb \xff\n"},
		{"-l app=x --prefix --tail=3", "!"},
		{"-n shop --timestamps", "[pod/cart-5d-a/web] 1970-01-01T00:00:01.000000000Z one\n[pod/cart-5d-a/web] 1970-01-01T00:00:02.000000000Z two and its end\n" +
			"[pod/cart-5d-a/side] 1970-01-01T00:00:04.000000000Z no end\n[pod/cart-5d-b/web] 1970-01-01T00:00:05.000000000Z b \xff\n"},
		{"-A -i one", "[shop/pod/cart-5d-a/web] one\n"},
		{"x --limit-bytes=5", "one\nt\nno en\nb \xff\n"},
	} {
		got := invoke(t, append([]string{"logs", "--server", base}, strings.Fields(test.args)...)...)
		if test.stdout == "!" {
			if got.code != 1 || !strings.HasPrefix(got.stderr, "error: -l needs the labels") {
				t.Errorf("%s: %v", test.args, got)
			}
			continue
		}
		if want := (invocation{stdout: test.stdout}); got != want {
			t.Errorf("%s:\n%v\nwant\n%v", test.args, got, want)
		}
	}
}

// The question that each flag asks.
func TestLogsAsksTheServer(t *testing.T) {
	_, withPods := small(t)
	id := telemetry.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}
	pods := "--pods " + withPods[4] + " "
	for _, test := range []struct {
		args string
		want telemetry.LogQuery
	}{
		{"lone", telemetry.LogQuery{Namespace: "default", Pods: []string{"lone"}}},
		{"-n other pod/lone main", telemetry.LogQuery{Namespace: "other", Pods: []string{"lone"}, Container: "main"}},
		{"-A", telemetry.LogQuery{Tail: 10}},
		{"-n shop -c web --tail=-1 -p", telemetry.LogQuery{Namespace: "shop", Container: "web", Previous: true}},
		{"-A --tail=7 --trace 4BF92F3577B34DA6A3CE929D0E0E4736", telemetry.LogQuery{Tail: 7, TraceID: id}},
		{"x --since-time=2026-01-01T00:00:00.5Z", telemetry.LogQuery{Namespace: "default", Pods: []string{"x"}, FromUnixNano: time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC).UnixNano()}},
		{pods + "-n shop deploy/cart --all-pods", telemetry.LogQuery{Namespace: "shop", Pods: []string{"cart-5d-a", "cart-5d-b"}, Container: "web"}},
		{pods + "-n shop -l app=cart --all-containers", telemetry.LogQuery{Namespace: "shop", Pods: []string{"cart-5d-a", "cart-5d-b"}, Tail: 10}},
	} {
		s := &lineShelf{answers: [][]telemetry.LogRecord{nil}}
		got := invoke(t, append([]string{"logs", "--server", serve(t, s)}, strings.Fields(test.args)...)...)
		asked := s.asked()
		if len(asked) != 1 || got.code != 0 || !strings.HasPrefix(strings.TrimPrefix(got.stderr, defaulted), "No lines found") {
			t.Errorf("%s: %d questions, %v", test.args, len(asked), got)
			continue
		}
		if q := asked[0]; !sameQuery(q, test.want) {
			t.Errorf("%s asks\n%+v, want\n%+v", test.args, q, test.want)
		}
	}
}

func sameQuery(a, b telemetry.LogQuery) bool {
	if strings.Join(a.Pods, " ") != strings.Join(b.Pods, " ") {
		return false
	}
	return a.Namespace == b.Namespace && a.Container == b.Container && a.TraceID == b.TraceID && a.FromUnixNano == b.FromUnixNano &&
		a.ToUnixNano == b.ToUnixNano && a.Tail == b.Tail && a.Limit == b.Limit && a.Follow == b.Follow && a.Previous == b.Previous && a.Text == b.Text
}

// With the list of pods, only the containers that kubectl would choose are printed.
func TestLogsFromServerChoosesContainers(t *testing.T) {
	_, withPods := small(t)
	s := &lineShelf{answers: [][]telemetry.LogRecord{{
		stored(1, "cart-5d-a", "web", "web"), stored(2, "cart-5d-a", "side", "side"), stored(3, "cart-5d-a", "debug", "debug"),
	}}}
	base := serve(t, s)
	for _, test := range []struct {
		args string
		want invocation
	}{
		{"-n shop cart-5d-a", invocation{"web\n", defaulted, 0}},
		{"-n shop cart-5d-a --all-containers", invocation{"web\nside\n", "", 0}},
		{"-n shop new", invocation{"", "Error from server (BadRequest): container \"main\" in pod \"new\" is waiting to start: ContainerCreating\n", 1}},
		{"-n shop x", invocation{"", "error: error from server (NotFound): pods \"x\" not found in namespace \"shop\"\n", 1}},
		{"-n shop cart-5d-a --tail=0", invocation{"", defaulted, 0}},
	} {
		args := append([]string{"logs", "--server", base, "--pods", withPods[4]}, strings.Fields(test.args)...)
		if got := invoke(t, args...); got != test.want {
			t.Errorf("%s: %v, want %v", test.args, got, test.want)
		}
	}
}

func TestLogsFromServerThatFails(t *testing.T) {
	away := httptest.NewServer(nil)
	away.Close()
	got := invoke(t, "logs", "--server", away.URL, "x")
	if got.code != 1 || !strings.HasPrefix(got.stderr, "error: cannot reach the aggregator at "+away.URL+": dial tcp ") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("away: %v", got)
	}
	got = invoke(t, "logs", "--server", strings.TrimPrefix(away.URL, "http://"), "-f", "x")
	if got.code != 1 || !strings.HasPrefix(got.stderr, "error: cannot reach the aggregator at "+away.URL) {
		t.Errorf("away, followed: %v", got)
	}
	refusing := serve(t, &lineShelf{answers: [][]telemetry.LogRecord{nil}, err: errors.New("the index is broken")})
	if got := invoke(t, "logs", "--server", refusing, "x"); got != (invocation{"", "error: the aggregator answered 500: the index is broken\n", 1}) {
		t.Errorf("refusing: %v", got)
	}
	late := serve(t, &lineShelf{answers: [][]telemetry.LogRecord{{stored(1, "a", "web", "one")}}, err: errors.New("the index is broken")})
	if got := invoke(t, "logs", "--server", late, "a"); got != (invocation{"one\n", "error: the server broke off its answer: the index is broken\n", 1}) {
		t.Errorf("breaking off: %v", got)
	}
	if got := invoke(t, "logs", "--server", "http://a b", "x"); got.code != 1 || !strings.HasPrefix(got.stderr, "error: cannot use --server \"http://a b\": ") {
		t.Errorf("no URL: %v", got)
	}
}

// A followed stream goes on when the aggregator comes back, and prints no line twice.
func TestLogsFollowsOverARestartOfTheServer(t *testing.T) {
	s := &lineShelf{answers: [][]telemetry.LogRecord{
		{stored(100, "a", "web", "one"), stored(101, "a", "web", "two")},
		{stored(101, "a", "web", "two"), stored(102, "a", "web", "three")},
	}}
	out, errOut := &lineWaiter{want: "three\n", seen: make(chan struct{})}, &strings.Builder{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	root := newRootCommand()
	root.SetArgs([]string{"logs", "--server", serve(t, s), "-f", "-n", "shop", "a", "--tail=5"})
	root.SetOut(out)
	root.SetErr(errOut)
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	select {
	case <-out.seen:
	case err := <-done:
		t.Fatalf("ended: %v, %s", err, errOut)
	case <-time.After(deadline):
		t.Fatal("the third line does not come")
	}
	cancel()
	var code exitError
	if err := <-done; !errors.As(err, &code) || code != 130 {
		t.Errorf("ended with %v, code %d", err, code)
	}
	if got := out.String(); got != "one\ntwo\nthree\n" {
		t.Errorf("printed %q", got)
	}
	if got := errOut.String(); got != "the stream ended (EOF); waiting for the aggregator\n" {
		t.Errorf("said %q", got)
	}
	asked := s.asked()
	if len(asked) != 2 || asked[0].Tail != 5 || asked[1].Tail != 0 || !asked[1].Follow || asked[1].FromUnixNano != (101-30)*1e9 {
		t.Errorf("asked %+v", asked)
	}
}

// A lineWaiter says when a text has been written.
type lineWaiter struct {
	mu   sync.Mutex
	buf  strings.Builder
	want string
	seen chan struct{} // closed when it has
}

// expect waits for another text.
func (w *lineWaiter) expect(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want, w.seen = text, make(chan struct{})
}

func (w *lineWaiter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if w.want != "" && strings.Contains(w.buf.String(), w.want) {
		close(w.seen)
		w.want = ""
	}
	return len(p), nil
}

func (w *lineWaiter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

func TestFormatTimeIsReadBack(t *testing.T) {
	const at = 1767225600123456789
	v := (&logsOptions{fromUnixNano: at, lastLines: -1}).params()
	back, err := time.Parse(time.RFC3339Nano, v.Get("from"))
	if err != nil || back.UnixNano() != at || len(v) != 1 {
		t.Errorf("%v: %v %v", v, back, err)
	}
}

func TestRecentUIDsForgetTheOldest(t *testing.T) {
	var u recentUIDs
	first := telemetry.FileUID(telemetry.FileID{1}, 0)
	if a, b := u.add(first), u.add(first); !a || !b {
		t.Error("remembers without being told to")
	}
	u.enable()
	for i := range int64(uidsRemembered) {
		if uid := telemetry.FileUID(telemetry.FileID{1}, i); !u.add(uid) || u.add(uid) {
			t.Fatalf("uid %d", i)
		}
	}
	if u.add(first) {
		t.Error("forgot too early")
	}
	u.add(telemetry.FileUID(telemetry.FileID{1}, uidsRemembered))
	if !u.add(first) || len(u.known) != uidsRemembered {
		t.Errorf("remembers %d", len(u.known))
	}
	if a, b := u.add(telemetry.UID{}), u.add(telemetry.UID{}); !a || !b {
		t.Error("a record without uid is taken for another")
	}
}
