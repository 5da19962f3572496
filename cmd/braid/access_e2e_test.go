package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/braidhq/braid/kube/kubetest"
	"github.com/braidhq/braid/listen/listentest"
	"github.com/braidhq/braid/query"
)

// securedPipeline is agent and aggregator with TLS and TokenReview on every listener of the aggregator.
type securedPipeline struct {
	*pipelineUnderTest
	ca                      *listentest.CA
	api                     *kubetest.Server
	dir, caFile, agentToken string
}

const agentUser = "system:serviceaccount:braid:braid-agent"

func newSecuredPipeline(t *testing.T, logs string) *securedPipeline {
	t.Helper()
	p := &securedPipeline{ca: listentest.NewCA(t), api: kubetest.New(t), dir: t.TempDir()}
	p.pipelineUnderTest = newPipeline(t, logs, "  - name: local\n    store: {}\n")
	p.caFile = listentest.Write(t, p.dir, "ca.crt", p.ca.PEM)
	p.agentToken = listentest.Write(t, p.dir, "token", []byte("of the hour before\n"))
	cert, key := p.ca.WriteServer(p.dir)
	listener := func(address, auth string) string {
		return fmt.Sprintf("{address: %q, tls: {cert_file: %s, key_file: %s, min_version: TLS13}, auth: {%s}}", address, cert, key, auth)
	}
	writeFile(t, p.aggregatorConfig, fmt.Sprintf(`cluster: test
data_dir: %s
receivers:
  http: %s
exporters:
  - {name: local, store: {}}
web:
  listen: %s
  access: {kubernetes: true}
  audit_log: %s
kubernetes: {kubeconfig_file: %s}
`, filepath.Join(p.dir, "aggregator"), listener(p.aggregatorHTTP, "kubernetes: {audiences: [braid]}, users: ["+agentUser+"]"),
		listener(p.aggregatorWeb, "kubernetes: {audiences: [braid]}"), p.auditLog(), p.api.Kubeconfig()))
	text, err := os.ReadFile(p.agentConfig)
	if err != nil {
		t.Fatal(err)
	}
	plain := fmt.Sprintf("aggregator: {url: \"http://%s\"}", p.aggregatorHTTP)
	if !strings.Contains(string(text), plain) {
		t.Fatalf("the agent's configuration has no %q", plain)
	}
	writeFile(t, p.agentConfig, strings.Replace(string(text), plain, fmt.Sprintf("aggregator: {url: \"https://%s\", bearer_token_file: %s, tls: {ca_file: %s}}",
		p.aggregatorHTTP, p.agentToken, p.caFile), 1))
	for name, user := range map[string]string{"agent": agentUser, "jane": "jane", "root": "root", "tenant": "system:serviceaccount:shop:cart"} {
		p.api.SetToken(name+"-token", kubetest.Token{User: authenticationv1.UserInfo{Username: user}, Audiences: []string{"braid"}})
	}
	p.api.Allow("jane", "chaos")
	p.api.Allow("root", "")
	p.api.AllowPath("root", "get", "/metrics")
	return p
}

func (p *securedPipeline) auditLog() string { return filepath.Join(p.dir, "audit.log") }

// page returns a page of the aggregator's web listener to root.
func (p *securedPipeline) page(path string) (string, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.ca.Pool()}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodGet, "https://"+p.aggregatorWeb+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer root-token")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", path, resp.Status, body)
	}
	return string(body), err
}

// refused returns how many requests the receivers have not let in for a reason.
func (p *securedPipeline) refused(reason string) (float64, error) {
	page, err := p.page("/metrics")
	return metric(page, "braid_listen_refused_total", `listener="receivers.http"`, fmt.Sprintf("reason=%q", reason)), err
}

// TestAnAgentThatIsNotLetInLosesNothing: an agent begins with a token that has expired, goes on with one of somebody else,
// and then with its own, while the aggregator's certificate is replaced. Every line arrives once.
func TestAnAgentThatIsNotLetInLosesNothing(t *testing.T) {
	tree := newShelf(filepath.Join(t.TempDir(), "pods"), seed(t))
	p := newSecuredPipeline(t, tree.root)
	aggregator := p.startAggregator(t, "")
	eventually(t, "the aggregator is ready", func() (bool, error) {
		_, err := p.page("/-/ready")
		return err == nil, fmt.Errorf("%w\n%s", err, aggregator.tail())
	})
	agent := p.startAgent(t, "")
	agent.waitReady(t, p.agentWeb)
	c := tree.open(t, 0, 1<<20)
	c.write(t, 500)
	eventually(t, "the expired token is refused", func() (bool, error) {
		n, err := p.refused("unauthenticated")
		return n > 0, fmt.Errorf("%w\n%s", err, agent.tail())
	})
	listentest.Write(t, p.dir, "token", []byte("tenant-token"))
	c.write(t, 500)
	eventually(t, "another pod's token is refused", func() (bool, error) {
		n, err := p.refused("user")
		return n > 0, fmt.Errorf("%w\n%s", err, agent.tail())
	})
	listentest.Write(t, p.dir, "token", []byte("agent-token"))
	stored := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d lines are stored", n), func() (bool, error) {
			page, err := p.page("/metrics")
			got := metric(page, "braid_log_records_total")
			return int(got) >= n, fmt.Errorf("%v lines, %w\n%s", got, err, agent.tail())
		})
	}
	stored(1000)
	p.ca.WriteServer(p.dir)
	c.write(t, 500)
	eventually(t, "the new certificate is taken", func() (bool, error) {
		page, err := p.page("/metrics")
		return metric(page, "braid_listen_reloads_total", `listener="web"`, `result="ok"`) >= 1, err
	})
	stored(1500)
	c.close(t)
	var rows string
	eventually(t, "every line can be read", func() (_ bool, err error) {
		rows, err = p.page("/api/v1/logs?namespace=chaos")
		return strings.Count(rows, "\n") >= 1500, err
	})
	tree.compare(t, "the store", contents(t, rows))
	agent.stop(t)
	aggregator.stop(t)
}

func contents(t *testing.T, rows string) map[content]int {
	t.Helper()
	got := map[content]int{}
	for row := range strings.Lines(rows) {
		r, err := query.DecodeLogLine([]byte(row))
		if err != nil {
			t.Fatal(err)
		}
		got[contentOf(r.Resource.Pod, r.Stream.String(), string(r.Body))]++
	}
	return got
}

// TestTheCommandLineShowsWhoAsks goes through the flags of the verbs that read, against a real aggregator.
func TestTheCommandLineShowsWhoAsks(t *testing.T) {
	tree := newShelf(filepath.Join(t.TempDir(), "pods"), seed(t))
	p := newSecuredPipeline(t, tree.root)
	listentest.Write(t, p.dir, "token", []byte("agent-token"))
	aggregator := p.startAggregator(t, "")
	agent := p.startAgent(t, "")
	agent.waitReady(t, p.agentWeb)
	c := tree.open(t, 0, 1<<20)
	c.write(t, 50)
	c.close(t)
	eventually(t, "the lines are stored", func() (bool, error) {
		rows, err := p.page("/api/v1/logs")
		return strings.Count(rows, "\n") == 50, fmt.Errorf("%w\n%s\n%s", err, agent.tail(), aggregator.tail())
	})
	janeFile := listentest.Write(t, p.dir, "jane", []byte("jane-token\n"))
	server := []string{"--server", "https://" + p.aggregatorWeb, "--certificate-authority", p.caFile}
	with := func(args ...string) invocation { return invoke(t, append(args, server...)...) }
	forbidden := `Error from server (Forbidden): pods is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "other"` + "\n"
	for _, test := range []struct {
		name           string
		got            invocation
		lines, code    int
		stderr, prefix string // the whole of it, or how it begins
	}{
		{"token", with("logs", "-n", "chaos", "--tail", "-1", "--token", "jane-token"), 50, 0, "", ""},
		{"token file", with("logs", "-n", "chaos", "--tail", "-1", "--token-file", janeFile), 50, 0, "", ""},
		{"kubeconfig", with("logs", "-n", "chaos", "--tail", "-1", "--kubeconfig", p.api.KubeconfigOf("jane-token")), 50, 0, "", ""},
		{"context", with("logs", "-n", "chaos", "--tail", "-1", "--kubeconfig", p.api.KubeconfigOf("jane-token"), "--context", "test"), 50, 0, "", ""},
		{"all namespaces", with("logs", "-A", "--tail", "-1", "--token", "jane-token"), 50, 0, "Warning: only what lies in namespaces whose pods/log you may get is shown\n", ""},
		{"all of them", with("logs", "-A", "--tail", "-1", "--token", "root-token"), 50, 0, "", ""},
		{"another namespace", with("logs", "-n", "other", "--token", "jane-token"), 0, 1, forbidden, ""},
		{"followed", with("logs", "-f", "-n", "other", "--token", "jane-token"), 0, 1, forbidden, ""},
		{"no token", with("logs", "-n", "chaos"), 0, 1, "error: You must be logged in to the server (Unauthorized: a bearer token is needed)\n", ""},
		{"a wrong one", with("logs", "-n", "chaos", "--token", "x"), 0, 1, "error: You must be logged in to the server (Unauthorized: the bearer token is not valid)\n", ""},
		{"metrics", with("top", "services", "--token", "jane-token"), 0, 1, `Error from server (Forbidden): forbidden: User "jane" cannot get path "/api/v1/query"` + "\n", ""},
		{"no trace", with("trace", "4bf92f3577b34da6a3ce929d0e0e4736", "--token", "jane-token"), 0, 1, "", "error: trace 4bf92f3577b34da6a3ce929d0e0e4736 is unknown"},
		{"both", with("logs", "--token", "a", "--token-file", janeFile), 0, 1, "", "error: at most one of --token"},
		{"half a certificate", with("logs", "--client-key", janeFile), 0, 1, "", "error: --client-certificate and --client-key belong together"},
		{"no file", with("logs", "--token-file", janeFile+"x"), 0, 1, "", "error: cannot use --token-file"},
		{"no context", with("logs", "--kubeconfig", p.api.KubeconfigOf("x"), "--context", "none"), 0, 1, "", "error: cannot use the kubeconfig"},
		{"in the clear", invoke(t, "logs", "--server", "http://braid.example:9464", "--token", "jane-token"), 0, 1, "",
			"error: cannot show a token to http://braid.example:9464"},
		{"unknown authority", invoke(t, "logs", "--server", "https://"+p.aggregatorWeb, "--token", "jane-token"), 0, 1, "", "error: cannot reach the aggregator"},
		{"unchecked", invoke(t, "logs", "-n", "chaos", "--server", "https://"+p.aggregatorWeb, "--token", "jane-token", "--tail", "-1", "--insecure-skip-tls-verify"), 50, 0, "", ""},
	} {
		if n := strings.Count(test.got.stdout, "\n"); n != test.lines || test.got.code != test.code {
			t.Errorf("%s: %d lines, code %d: %s", test.name, n, test.got.code, test.got.stderr)
		}
		if test.prefix == "" && test.got.stderr != test.stderr || !strings.HasPrefix(test.got.stderr, test.prefix) {
			t.Errorf("%s: %s", test.name, test.got.stderr)
		}
	}
	agent.stop(t)
	aggregator.stop(t)
	log, err := os.ReadFile(p.auditLog())
	if err != nil || !strings.Contains(string(log), `"user":"jane"`) || strings.Contains(string(log), "jane-token") {
		t.Errorf("audit log: %v\n%.2000s", err, log)
	}
}
