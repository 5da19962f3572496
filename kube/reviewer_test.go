package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/braidhq/braid/kube/kubetest"
	"github.com/braidhq/braid/listen"
	"github.com/braidhq/braid/listen/listentest"
)

// A clock goes only when it is told to.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_800_000_000, c.ahead.Load()) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

type reviewRig struct {
	*kubetest.Server
	*Reviewer
	clock
	mu   sync.Mutex
	away []error
}

func newReviewRig(t *testing.T) *reviewRig {
	t.Helper()
	rig := &reviewRig{Server: kubetest.New(t)}
	var err error
	rig.Reviewer, err = NewReviewer(ReviewerOptions{
		Kubeconfig: rig.Kubeconfig(), UserAgent: "braid/test", Registerer: prometheus.NewRegistry(), now: rig.now,
		Away: func(err error) {
			rig.mu.Lock()
			defer rig.mu.Unlock()
			rig.away = append(rig.away, err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rig.Close)
	return rig
}

func (r *reviewRig) logs(t *testing.T, who listen.Identity, namespace string) bool {
	t.Helper()
	yes, err := r.Logs(t.Context(), who, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

func TestWhoseATokenIs(t *testing.T) {
	rig := newReviewRig(t)
	jane := authenticationv1.UserInfo{Username: "jane", UID: "u1", Groups: []string{"dev", "system:authenticated"}, Extra: map[string]authenticationv1.ExtraValue{"scopes": {"a", "b"}}}
	rig.SetToken("good", kubetest.Token{User: jane, Audiences: []string{"x", "braid"}})
	rig.SetToken("other", kubetest.Token{User: jane, Audiences: []string{kubetest.ClusterAudience}})
	rig.SetToken("expired", kubetest.Token{User: jane, Audiences: []string{"braid"}, Expired: true})
	rig.SetToken("nameless", kubetest.Token{Audiences: []string{"braid"}})

	who, err := rig.Token(t.Context(), "good", []string{"braid", "z"})
	if err != nil || who.Name != "jane" || who.UID != "u1" || !slices.Equal(who.Groups, jane.Groups) || fmt.Sprint(who.Extra) != "map[scopes:[a b]]" {
		t.Errorf("%+v, %v", who, err)
	}
	for token, reason := range map[string]string{"other": "audiences", "expired": "expired", "nobody": "invalid bearer token", "nameless": ""} {
		if who, err := rig.Token(t.Context(), token, []string{"braid"}); !errors.Is(err, listen.ErrToken) || !strings.Contains(err.Error(), reason) || who.Name != "" {
			t.Errorf("%s: %+v, %v", token, who, err)
		}
	}
	// Without audiences those of the API server are meant; what was answered for one audience does not hold for another.
	if _, err := rig.Token(t.Context(), "other", nil); err != nil {
		t.Error(err)
	}
	if _, err := rig.Token(t.Context(), "good", nil); !errors.Is(err, listen.ErrToken) {
		t.Errorf("%v", err)
	}
}

// TestOnlyACompleteYesIsOne: an API server that knows no audiences says none, and its yes is for itself alone; one that says
// no may say whose token it was.
func TestOnlyACompleteYesIsOne(t *testing.T) {
	var status string
	ca := listentest.NewCA(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{%s}}`, status)
	}))
	s.TLS = listentest.ServerConfig(t, ca)
	s.StartTLS()
	defer s.Close()
	kubeconfig := listentest.Write(t, t.TempDir(), "k", fmt.Appendf(nil, "clusters: [{name: a, cluster: {server: %q, certificate-authority: %q}}]\nusers: [{name: a, user: {token: x}}]\n"+
		"contexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\n", s.URL, listentest.Write(t, t.TempDir(), "ca", ca.PEM)))
	r, err := NewReviewer(ReviewerOptions{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const jane = `"user":{"username":"jane"}`
	for i, c := range []struct {
		status    string
		audiences []string
		yes       bool
	}{
		{`"authenticated":true,` + jane, nil, true},
		{`"authenticated":true,` + jane, []string{"braid"}, false},
		{`"authenticated":true,"audiences":["other"],` + jane, []string{"braid"}, false},
		{`"authenticated":true,"audiences":["other","braid"],` + jane, []string{"braid"}, true},
		{`"authenticated":false,"audiences":["braid"],` + jane, []string{"braid"}, false},
		{`"audiences":["braid"],` + jane, []string{"braid"}, false},
		{`"authenticated":false,` + jane, nil, false},
		{`"authenticated":true`, nil, false},
		{``, nil, false},
	} {
		status = c.status
		who, err := r.Token(t.Context(), fmt.Sprint(i), c.audiences)
		if (err == nil) != c.yes || (who.Name == "jane") != c.yes || (!c.yes && !errors.Is(err, listen.ErrToken)) {
			t.Errorf("{%s} for %v: %+v, %v", c.status, c.audiences, who, err)
		}
	}
}

func TestWhoMayReadWhat(t *testing.T) {
	rig := newReviewRig(t)
	rig.Allow("jane", "shop")
	rig.Allow("group:ops", "")
	rig.AllowPath("jane", "get", "/debug/*")
	jane, ops := listen.Identity{Name: "jane"}, listen.Identity{Name: "john", Groups: []string{"x", "ops"}}
	for _, c := range []struct {
		who       listen.Identity
		namespace string
		want      bool
	}{
		{jane, "shop", true}, {jane, "pay", false}, {jane, "", false}, {ops, "shop", true}, {ops, "pay", true}, {ops, "", true},
		{listen.Identity{Name: "john"}, "shop", false}, {listen.Identity{Name: "john", Groups: []string{"xops"}}, "shop", false},
		{listen.Identity{Name: "ops"}, "shop", false}, {listen.Identity{Groups: []string{"jane"}}, "shop", false}, {listen.Identity{}, "", false},
	} {
		if got := rig.logs(t, c.who, c.namespace); got != c.want {
			t.Errorf("%+v in %q: %v", c.who, c.namespace, got)
		}
	}
	for what, want := range map[string]bool{"get /debug/pprof/heap": true, "post /debug/pprof/heap": false, "get /metrics": false} {
		verb, path, _ := strings.Cut(what, " ")
		if got, err := rig.Path(t.Context(), jane, verb, path); err != nil || got != want {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}

func TestAnswersHoldForAWhile(t *testing.T) {
	rig := newReviewRig(t)
	jane := listen.Identity{Name: "jane"}
	rig.Allow("jane", "shop")
	if !rig.logs(t, jane, "shop") || rig.logs(t, jane, "pay") {
		t.Fatal("at first")
	}
	rig.Forbid("jane", "shop")
	rig.Allow("jane", "pay")
	rig.advance(noHolds - 1)
	if !rig.logs(t, jane, "shop") || rig.logs(t, jane, "pay") {
		t.Error("nothing is remembered")
	}
	if n := len(rig.Asked()); n != 2 {
		t.Errorf("%d questions", n)
	}
	rig.advance(1)
	if !rig.logs(t, jane, "shop") || !rig.logs(t, jane, "pay") {
		t.Error("a no holds too long, or a yes not long enough")
	}
	rig.advance(yesHolds - noHolds)
	if rig.logs(t, jane, "shop") {
		t.Error("a yes holds too long")
	}
	asked := len(rig.Asked())
	for _, who := range []listen.Identity{
		{Name: "jane", UID: "1"}, {Name: "jane", Groups: []string{"g"}}, {Name: "jane", Groups: []string{"g", "h"}},
		{Name: "jane", Extra: map[string][]string{"k": {"v"}}}, {Name: "jane", Extra: map[string][]string{"k": {"w"}}},
	} {
		rig.logs(t, who, "shop")
		rig.logs(t, who, "shop")
	}
	if n := len(rig.Asked()) - asked; n != 5 {
		t.Errorf("%d questions for five who are not the same", n)
	}
	rig.SetToken("t", kubetest.Token{User: authenticationv1.UserInfo{Username: "jane"}, Audiences: []string{"a"}})
	if _, err := rig.Token(t.Context(), "t", []string{"a"}); err != nil {
		t.Fatal(err)
	}
	rig.SetToken("t", kubetest.Token{Expired: true})
	rig.advance(yesHolds - 1)
	if _, err := rig.Token(t.Context(), "t", []string{"a"}); err != nil {
		t.Errorf("a token's yes does not hold: %v", err)
	}
	rig.advance(1)
	if _, err := rig.Token(t.Context(), "t", []string{"a"}); !errors.Is(err, listen.ErrToken) {
		t.Errorf("a token's yes holds too long: %v", err)
	}
}

func TestOneQuestionIsAskedOnceHoweverManyWait(t *testing.T) {
	rig := newReviewRig(t)
	rig.Allow("jane", "shop")
	release := rig.Hold()
	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := rig.Logs(impatient, listen.Identity{Name: "jane"}, "shop")
		left <- err
	}()
	var all sync.WaitGroup
	var yes atomic.Int32
	for range 100 {
		all.Go(func() {
			if ok, err := rig.Logs(t.Context(), listen.Identity{Name: "jane"}, "shop"); err == nil && ok {
				yes.Add(1)
			}
		})
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves gets %v", err)
	}
	release()
	all.Wait()
	if n := len(rig.Asked()); n != 1 || yes.Load() != 100 {
		t.Errorf("%d questions, %d were answered", n, yes.Load())
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	a := newAnswers[int]((&clock{}).now)
	release, busy := make(chan struct{}), atomic.Int32{}
	var most atomic.Int32
	ask := func(ctx context.Context) (int, bool, error) {
		n := busy.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		busy.Add(-1)
		return 0, true, ctx.Err()
	}
	var all sync.WaitGroup
	var started sync.WaitGroup
	var refused atomic.Int32
	for i := range maxWaiting + 50 {
		started.Add(1)
		all.Go(func() {
			started.Done()
			var q question
			q.add(fmt.Sprint(i))
			if _, _, err := a.get(t.Context(), q.key(), ask); errors.Is(err, errBusy) {
				refused.Add(1)
				if refused.Load() == 50 {
					close(release) // everybody else waits
				}
			}
		})
	}
	started.Wait()
	all.Wait()
	if refused.Load() != 50 || most.Load() != maxAsking {
		t.Errorf("%d refused, %d at once", refused.Load(), most.Load())
	}
	if len(a.waiting) != 0 || len(a.yes) != maxWaiting {
		t.Errorf("%d wait, %d are remembered", len(a.waiting), len(a.yes))
	}
}

func TestWhatIsRememberedIsBoundedAndNoPushesNobodyOut(t *testing.T) {
	a := newAnswers[int]((&clock{}).now)
	get := func(text string, yes bool) (asked bool) {
		var q question
		q.add(text)
		_, got, err := a.get(t.Context(), q.key(), func(context.Context) (int, bool, error) { asked = true; return 0, yes, nil })
		if err != nil || got != yes {
			t.Fatalf("%s: %v %v", text, got, err)
		}
		return asked
	}
	get("good", true)
	for i := range maxAnswers + 1000 {
		get(fmt.Sprint("bad", i), false)
	}
	if get("good", true) {
		t.Error("made-up tokens have pushed out a good one")
	}
	if len(a.no) != maxAnswers {
		t.Errorf("%d answers are remembered", len(a.no))
	}
}

func TestQuestionsAreTold(t *testing.T) {
	seen := map[questionKey]string{}
	for _, parts := range [][][]string{{{"a", "b"}}, {{"a"}, {"b"}}, {{"ab"}}, {{"a", "", "b"}}, {{}, {"a", "b"}}, {{"a"}, {}, {"b"}}} {
		var q question
		for _, p := range parts {
			q.add(p...)
		}
		text := fmt.Sprintf("%q", parts)
		if other, twice := seen[q.key()]; twice {
			t.Errorf("%s is %s", text, other)
		}
		seen[q.key()] = text
	}
}

func TestAnAPIServerThatIsAway(t *testing.T) {
	rig := newReviewRig(t)
	rig.Allow("jane", "shop")
	jane := listen.Identity{Name: "jane"}
	rig.Fail(http.StatusForbidden) // the aggregator's own account lacks its role
	for range 3 {
		if yes, err := rig.Logs(t.Context(), jane, "shop"); err == nil || yes {
			t.Fatalf("%v, %v", yes, err)
		}
		if _, err := rig.Token(t.Context(), "x", nil); err == nil || errors.Is(err, listen.ErrToken) {
			t.Fatalf("nobody could tell, and the token is called bad: %v", err)
		}
	}
	rig.Fail(0)
	if !rig.logs(t, jane, "shop") {
		t.Error("an error is remembered")
	}
	rig.Fail(http.StatusInternalServerError)
	if !rig.logs(t, jane, "shop") {
		t.Error("a yes does not hold while the API server is away")
	}
	if len(rig.away) != 2 || rig.away[0] == nil || rig.away[1] != nil {
		t.Errorf("told of %v", rig.away)
	}
	for result, want := range map[string]float64{"error": 3, "yes": 1, "no": 0} {
		if n := testutil.ToFloat64(rig.metrics.reviews.WithLabelValues("access", result)); n != want {
			t.Errorf("%v access reviews with %s", n, result)
		}
	}
}

func TestNoKubeconfig(t *testing.T) {
	if _, err := NewReviewer(ReviewerOptions{Kubeconfig: t.TempDir() + "/none"}); err == nil || !strings.Contains(err.Error(), "API server") {
		t.Errorf("%v", err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := NewReviewer(ReviewerOptions{}); err == nil {
		t.Error("in no cluster, and content")
	}
}

func TestTransport(t *testing.T) {
	ca, clients := listentest.NewCA(t), listentest.NewCA(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "-"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "%s %s", r.Header.Get("Authorization"), name)
	}))
	s.TLS = listentest.ServerConfig(t, ca)
	s.TLS.ClientCAs, s.TLS.ClientAuth = clients.Pool(), 3 // tls.VerifyClientCertIfGiven
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	caFile := listentest.Write(t, dir, "ca", ca.PEM)
	cert, key := clients.Client("jane")
	kubeconfig := listentest.Write(t, dir, "config", fmt.Appendf(nil, `current-context: token
clusters: [{name: c, cluster: {server: "https://192.0.2.1"}}]
users:
- {name: token, user: {token: abc}}
- {name: file, user: {tokenFile: %q}}
- {name: plugin, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never,
    args: [-c, "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"from-plugin\"}}'"]}}}
- {name: cert, user: {client-certificate: %q, client-key: %q}}
- {name: none, user: {}}
contexts:
- {name: token, context: {cluster: c, user: token}}
- {name: file, context: {cluster: c, user: file}}
- {name: plugin, context: {cluster: c, user: plugin}}
- {name: cert, context: {cluster: c, user: cert}}
- {name: none, context: {cluster: c, user: none}}
`, listentest.Write(t, dir, "token", []byte("from-file\n")), listentest.Write(t, dir, "c", cert), listentest.Write(t, dir, "k", key)))
	for context, want := range map[string]string{
		"": "Bearer abc -", "token": "Bearer abc -", "file": "Bearer from-file -", "plugin": "Bearer from-plugin -", "cert": " jane",
	} {
		transport, err := Transport(kubeconfig, context, ServerTLS{CAFile: caFile})
		if err != nil {
			t.Fatalf("%s: %v", context, err)
		}
		resp, err := (&http.Client{Transport: transport}).Get(s.URL)
		if err != nil {
			t.Fatalf("%s: %v", context, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != want || err != nil {
			t.Errorf("%s: %q, want %q: %v", context, body, want, err)
		}
	}
	transport, err := Transport(kubeconfig, "token", ServerTLS{})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := (&http.Client{Transport: transport}).Get(s.URL); err == nil {
		resp.Body.Close()
		t.Error("a server that nobody knows got the token")
	}
	for _, context := range []string{"none", "absent"} {
		if _, err := Transport(kubeconfig, context, ServerTLS{}); err == nil {
			t.Errorf("%s is good", context)
		}
	}
}
