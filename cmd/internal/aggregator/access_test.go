package aggregator

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/kube/kubetest"
	"github.com/braidhq/braid/listen/listentest"
	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// A web is the aggregator's web listener with everything behind it: TLS, TokenReview, SubjectAccessReview, the store.
type web struct {
	t        *testing.T
	base     string
	client   *http.Client
	api      *kubetest.Server
	outputs  *outputs
	patterns []string
	audit    string
}

func newWeb(t *testing.T) *web {
	t.Helper()
	dir, ca := t.TempDir(), listentest.NewCA(t)
	cert, key := ca.WriteServer(dir)
	w := &web{t: t, api: kubetest.New(t), audit: filepath.Join(dir, "audit.log")}
	text := fmt.Sprintf(`data_dir: %s
receivers: {http: 127.0.0.1:0}
exporters: [{name: local, store: {}}]
kubernetes: {kubeconfig_file: %s}
web:
  listen:
    address: 127.0.0.1:0
    tls: {cert_file: %s, key_file: %s}
    auth: {kubernetes: {audiences: [braid]}}
  access: {kubernetes: true}
  audit_log: %s
`, filepath.Join(dir, "data"), w.api.Kubeconfig(), cert, key, w.audit)
	cfg, err := config.ParseAggregator("aggregator.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	registry, logger, state := prometheus.NewRegistry(), slog.New(slog.DiscardHandler), &run.State{}
	state.SetReady(true)
	access, err := openAccess(cfg, "test", registry, logger)
	if err != nil {
		t.Fatal(err)
	}
	a := &aggregator{access: access, registries: run.NewRegistries(registry), state: state, logger: logger}
	if w.outputs, err = a.open(cfg, nil); err != nil {
		t.Fatal(err)
	}
	listeners, err := run.OpenListeners(config.Receivers{}, cfg.Web, access.listenOptions(registry, logger))
	if err != nil {
		t.Fatal(err)
	}
	api := w.outputs.query(access.reads, registry)
	a.current.Store(&current{spans: spanMetrics(prometheus.NewRegistry()), api: api})
	mux := a.web(run.NewReloader(registry, logger))
	w.patterns = append(api.Patterns(), mux.Patterns()...)
	group := run.NewGroup()
	listeners.ServeWeb(group.Stage(), access.serve(mux))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- group.Wait(ctx, time.Minute) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
	w.base, w.client = "https://"+listeners.WebAddr(), &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		for _, err := range []error{<-ended, access.close(), a.closeBut(w.outputs, nil)} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	w.callers()
	return w
}

// The callers who are let in, and what they may do.
const (
	nobody  = "nobody"  // nothing
	jane    = "jane"    // get pods/log in shop
	root    = "root"    // get pods/log in every namespace
	grafana = "grafana" // get the path of Prometheus' API
	scraper = "scraper" // get /metrics and profiles
)

// Those who are not let in: without a token, and with one that is no good.
var refused = map[string]string{
	"no token": "", "unknown token": "made-up", "expired": "root-expired", "wrong audience": "root-elsewhere", "of the API server": "root-cluster",
}

func (w *web) callers() {
	for _, name := range []string{nobody, jane, root, grafana, scraper} {
		user := authenticationv1.UserInfo{Username: name, Groups: []string{"system:authenticated"}}
		w.api.SetToken(name, kubetest.Token{User: user, Audiences: []string{"braid"}})
		w.api.SetToken(name+"-expired", kubetest.Token{User: user, Audiences: []string{"braid"}, Expired: true})
		w.api.SetToken(name+"-elsewhere", kubetest.Token{User: user, Audiences: []string{"vault"}})
		w.api.SetToken(name+"-cluster", kubetest.Token{User: user, Audiences: []string{kubetest.ClusterAudience}})
	}
	w.api.Allow(jane, "shop")
	w.api.Allow(root, "")
	w.api.AllowPath(grafana, "get", "/api/v1/query")
	w.api.AllowPath(scraper, "get", "/metrics*")
	w.api.AllowPath(scraper, "get", "/debug/pprof/*")
	w.api.AllowPath(scraper, "get", "/-/*") // which lets nobody post
}

// ask sends one request; method "POST" sends the parameters as a form.
func (w *web) ask(token, method, target string) (status int, text string) {
	w.t.Helper()
	path, params, _ := strings.Cut(target, "?")
	body := io.Reader(http.NoBody)
	if method == http.MethodPost {
		target, body = path, strings.NewReader(params)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, target, err)
	}
	return resp.StatusCode, fmt.Sprint(resp.Header, string(answer))
}

var now = time.Now()

// The ids of traces: one through every namespace, and one of each alone.
var sharedID, shopID, payID, voidID = telemetry.TraceID{1}, telemetry.TraceID{2}, telemetry.TraceID{3}, telemetry.TraceID{4}

// fill stores lines and spans of the namespaces shop and pay and of none; everything in them is called by their name.
func (w *web) fill() {
	w.t.Helper()
	for i, name := range []string{"shop", "pay", "void"} {
		r := &telemetry.Resource{Namespace: name, Pod: name + "pod", Container: name + "box", Service: name + "svc", Restart: -1,
			Attrs: []telemetry.Attr{{Key: name + "attr", Value: telemetry.String(name + "value")}}}
		if name == "void" {
			r.Namespace = ""
		}
		b := &telemetry.Batch{Resource: r, FramePosition: uint64(i + 1), ReceivedUnixNano: now.UnixNano()}
		for n, id := range []telemetry.TraceID{{}, {}, sharedID, {byte(i + 2)}} {
			l := telemetry.Log{UnixNano: now.Add(time.Duration(n-10) * time.Second).UnixNano(), TraceID: id, Severity: telemetry.SeverityError,
				UID: telemetry.QueueUID(telemetry.QueueID{1}, uint64(i+1), n), Body: fmt.Appendf(nil, "%s line %d", name, n)}
			b.Logs = append(b.Logs, l)
			if !id.IsZero() {
				s := telemetry.Span{TraceID: id, SpanID: telemetry.SpanID{byte(i + 1)}, Name: name + "op", StartUnixNano: now.Add(-10 * time.Second).UnixNano(), EndUnixNano: now.Add(-7 * time.Second).UnixNano()}
				if i > 0 {
					s.ParentID = telemetry.SpanID{1}
				}
				b.Spans = append(b.Spans, s)
			}
		}
		samples := &telemetry.Batch{Samples: []telemetry.Sample{{
			Series:    &telemetry.Series{Labels: labels.FromStrings("__name__", "process_resident_memory_bytes", "namespace", name, "pod", name+"pod")},
			UnixMilli: now.Add(-8 * time.Second).UnixMilli(), Value: 7,
			Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", sharedID.String()), Value: 1, Ts: now.UnixMilli(), HasTs: true}},
		}}}
		if err := w.outputs.list[0].store.Write(w.t.Context(), []*telemetry.Batch{b, samples}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestNobodyIsRefusedInOtherWords: a trace that may not be read is answered as one that is not there.
func TestNobodyIsRefusedInOtherWords(t *testing.T) {
	w := newWeb(t)
	w.fill()
	same := func(path string, id telemetry.TraceID) string {
		status, text := w.ask(jane, http.MethodGet, path+id.String())
		_, body, _ := strings.Cut(text, "]]") // behind the header, whose date may differ
		return fmt.Sprint(status, strings.ReplaceAll(body[strings.LastIndex(body, "]")+1:], id.String(), "ID"))
	}
	for _, path := range []string{"/api/v1/traces/", "/jaeger/api/traces/"} {
		if absent, secret := same(path, telemetry.TraceID{0xff}), same(path, payID); absent != secret {
			t.Errorf("%s: %q is not %q", path, secret, absent)
		}
	}
}

func TestRefusalsAreKubectls(t *testing.T) {
	w := newWeb(t)
	w.fill()
	for target, want := range map[string]string{
		"/api/v1/logs?namespace=pay":            `pods is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "pay"`,
		"/api/v1/logs?namespace=pay&pod=paypod": `pods "paypod" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "pay"`,
		"/api/v1/query?query=x":                 `forbidden: User "jane" cannot get path "/api/v1/query"`,
		"/metrics":                              `forbidden: User "jane" cannot get path "/metrics"`,
		"/debug/pprof/":                         `forbidden: User "jane" cannot get path "/debug/pprof/"`,
	} {
		_, text := w.ask(jane, http.MethodGet, target)
		if !strings.Contains(text, strings.ReplaceAll(want, `"`, `\"`)) {
			t.Errorf("%s: %s", target, text)
		}
	}
	if _, text := w.ask(nobody, http.MethodGet, "/api/v1/logs"); !strings.Contains(text, `pods is forbidden: User \"nobody\" cannot get resource \"pods/log\" in API group \"\" at the cluster scope`) {
		t.Error(text)
	}
	if _, text := w.ask(jane, http.MethodGet, "/api/v1/logs"); !strings.Contains(text, "Warning:[299 - ") {
		t.Errorf("nothing says that there may be more: %s", text)
	}
	for _, target := range []string{"/api/v1/logs?namespace=shop", "/api/v1/traces/" + shopID.String()} {
		if _, text := w.ask(jane, http.MethodGet, target); strings.Contains(text, "Warning:") {
			t.Errorf("%s warns of nothing: %s", target, text)
		}
	}
}

func TestATraceSaysHowMuchOfItIsHidden(t *testing.T) {
	w := newWeb(t)
	w.fill()
	for caller, want := range map[string]*query.Hidden{jane: {Spans: 2, Lines: 2}, root: nil} {
		_, text := w.ask(caller, http.MethodGet, "/api/v1/traces/"+sharedID.String())
		var v query.TraceView
		if err := json.Unmarshal([]byte(text[strings.Index(text, "{"):]), &v); err != nil {
			t.Fatal(err)
		}
		if (v.Hidden == nil) != (want == nil) || (want != nil && *v.Hidden != *want) {
			t.Errorf("%s is told %+v", caller, v.Hidden)
		}
		if n := len(v.Spans); (caller == jane && n != 1) || (caller == root && n != 3) {
			t.Errorf("%s sees %d spans", caller, n)
		}
		if caller == jane && (len(v.Processes) != 1 || v.Processes[0].Pod != "shoppod" || len(v.Spans[0].Critical) != 1) {
			t.Errorf("around it: %+v, critical %v", v.Processes, v.Spans[0].Critical)
		}
	}
	if _, text := w.ask(jane, http.MethodGet, "/jaeger/api/traces/"+sharedID.String()); !strings.Contains(text, "2 spans and 2 lines in namespaces you may not read") {
		t.Errorf("Jaeger does not say it: %s", text)
	}
}

// TestLiveTail follows everything as a caller of one namespace.
func TestLiveTail(t *testing.T) {
	w := newWeb(t)
	w.fill()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+"/api/v1/logs?follow=true&tail=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+jane)
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rows := bufio.NewScanner(resp.Body)
	for i := range 10 {
		if !rows.Scan() || !strings.Contains(rows.Text(), "shop") || strings.Contains(rows.Text(), "pay") || strings.Contains(rows.Text(), "void") {
			t.Fatalf("row %d: %q, %v", i, rows.Text(), rows.Err())
		}
		w.fill1(uint64(100+10*i), "pay")
		w.fill1(uint64(101+10*i), "")
		w.fill1(uint64(102+10*i), "shop")
	}
}

// fill1 stores one line of a namespace.
func (w *web) fill1(frame uint64, namespace string) {
	w.t.Helper()
	b := &telemetry.Batch{Resource: &telemetry.Resource{Namespace: namespace, Pod: namespace + "pod"}, FramePosition: frame, ReceivedUnixNano: now.UnixNano()}
	b.Logs = []telemetry.Log{{UnixNano: now.UnixNano(), UID: telemetry.QueueUID(telemetry.QueueID{1}, frame, 0), Body: fmt.Appendf(nil, "void%s line %d", namespace, frame)}}
	if namespace == "shop" {
		b.Logs[0].Body = []byte("shop line")
	}
	if err := w.outputs.list[0].store.Write(w.t.Context(), []*telemetry.Batch{b}); err != nil {
		w.t.Fatal(err)
	}
}

// TestAnAPIServerThatIsAwayShowsNothing: nobody new is let in, and nobody is shown what was not asked for before.
func TestAnAPIServerThatIsAwayShowsNothing(t *testing.T) {
	w := newWeb(t)
	w.fill()
	if status, _ := w.ask(jane, http.MethodGet, "/jaeger/api/dependencies"); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	w.api.Fail(http.StatusInternalServerError)
	for target, caller := range map[string]string{"/api/v1/logs": jane, "/api/v1/logs?namespace=shop": jane, "/metrics": jane, "/api/v1/query?query=1": jane, "/jaeger/api/services": root} {
		status, text := w.ask(caller, http.MethodGet, target)
		if status != http.StatusServiceUnavailable || strings.Contains(text, "shop line") || strings.Contains(text, "as the test wishes") {
			t.Errorf("%s by %s: %d %s", target, caller, status, text)
		}
	}
}

func TestTheAuditLogSaysWhoReadWhat(t *testing.T) {
	w := newWeb(t)
	w.fill()
	w.ask(jane, http.MethodGet, "/api/v1/logs?tail=1")
	w.ask(jane, http.MethodGet, "/api/v1/logs?namespace=pay&text=secret")
	w.ask(root, http.MethodGet, "/api/v1/logs?follow=true&limit=1&namespace=shop")
	w.ask(root, http.MethodPost, "/api/v1/query?"+url.Values{"query": {"up"}}.Encode())
	w.ask("made-up", http.MethodGet, "/metrics")
	w.ask(jane, http.MethodGet, run.HealthyPath)
	text, err := os.ReadFile(w.audit)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		var e struct {
			Time, Stage, User, Endpoint, Query, Error string
			Groups, Namespaces                        []string
			Status                                    int
			Bytes                                     *int64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time == "" || e.Bytes == nil {
			t.Fatalf("%s: %v", line, err)
		}
		if (e.Status == http.StatusOK && e.Stage == "done") != (*e.Bytes > 0 && e.Status == http.StatusOK) {
			t.Errorf("bytes: %s", line)
		}
		got = append(got, fmt.Sprintf("%s %s%v %s %v %q %d %v", e.Stage, e.User, e.Groups, e.Endpoint, e.Namespaces, e.Query, e.Status, e.Error != ""))
	}
	want := []string{
		`done jane[system:authenticated] GET /api/v1/logs [shop] "tail=1" 200 false`,
		`done jane[system:authenticated] GET /api/v1/logs [pay] "namespace=pay&text=secret" 403 true`,
		`begun root[system:authenticated] GET /api/v1/logs [shop] "follow=true&limit=1&namespace=shop" 200 false`,
		`done root[system:authenticated] GET /api/v1/logs [shop] "follow=true&limit=1&namespace=shop" 200 false`,
		`done root[system:authenticated] POST /api/v1/query [] "query=up" 200 false`,
		`refused [] GET /metrics [] "" 401 true`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, secret := range []string{"line", "made-up", "shopattr"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the audit log has %q", secret)
		}
	}
	if info, err := os.Stat(w.audit); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
