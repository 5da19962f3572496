package config

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
)

const (
	secured   = "{address: \"0.0.0.0:1\", tls: {cert_file: c, key_file: k}, auth: {bearer_token_file: t}}"
	reviewed  = "{address: \"0.0.0.0:1\", tls: {cert_file: c, key_file: k}, auth: {kubernetes: {audiences: [braid]}}}"
	storeOnly = "exporters: [{name: local, store: {}}]\n"
)

func TestSecuredConfigurations(t *testing.T) {
	c, err := ParseAggregator("a.yaml", []byte("data_dir: /x\nreceivers: {http: "+secured+", grpc: "+reviewed+"}\n"+storeOnly+
		"web: {listen: "+reviewed+", access: {kubernetes: true}, audit_log: stderr}\nkubernetes: {kubeconfig_file: /k}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Receivers.HTTP.Auth.BearerTokenFile != "t" || c.Receivers.GRPC.Auth.Kubernetes.Audiences[0] != "braid" || !c.UsesKubernetes() ||
		!c.Web.Access.Kubernetes || c.Web.AuditLog != "stderr" || c.Kubernetes.KubeconfigFile != "/k" {
		t.Errorf("%+v", c)
	}
	a, err := ParseAgent("a.yaml", []byte("data_dir: /x\nlogs: [{path: /l}]\naggregator: {url: https://a:1/, bearer_token_file: /t, tls: {ca_file: /ca, cert_file: /c, key_file: /k, server_name: s}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	rw, err := a.Aggregator.RemoteWrite()
	if err != nil {
		t.Fatal(err)
	}
	for _, http := range []any{rw.HTTPClientConfig, *a.Aggregator.HTTPClient()} {
		text := strings.Join(strings.Fields(strings.ReplaceAll(stringOf(t, http), "\n", " ")), " ")
		for _, want := range []string{"credentials_file: /t", "ca_file: /ca", "cert_file: /c", "key_file: /k", "server_name: s", "follow_redirects: false"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
	}
	if plain := (Upstream{URL: "http://a:1"}); plain.HTTPClient() != nil {
		t.Error("a client of its own for nothing")
	}
}

func stringOf(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatIsNotSafeIsRefused(t *testing.T) {
	aggregator := func(receivers, rest string) string {
		return "data_dir: /x\nreceivers: {http: " + receivers + "}\n" + storeOnly + rest
	}
	agent := func(upstream, rest string) string {
		return "data_dir: /x\nlogs: [{path: /l}]\naggregator: " + upstream + "\n" + rest
	}
	for name, test := range map[string]struct {
		text string
		line int
		says string
	}{
		"off loopback":               {aggregator("\"0.0.0.0:1\"", ""), 2, "neither TLS nor authentication"},
		"web off loopback":           {aggregator("127.0.0.1:1", "web:\n  listen: \":1\"\n"), 5, "neither TLS nor authentication"},
		"access without web":         {aggregator("127.0.0.1:1", "web: {access: {kubernetes: true}}"), 4, "without web.listen"},
		"audit without web":          {aggregator("127.0.0.1:1", "web: {audit_log: stderr}"), 4, "without web.listen"},
		"access for nobody":          {aggregator("127.0.0.1:1", "web:\n  listen: 127.0.0.1:2\n  access: {kubernetes: true}"), 6, "who asks"},
		"insecure access for nobody": {aggregator("127.0.0.1:1", "web:\n  listen: {address: \":2\", insecure: true}\n  access: {kubernetes: true}"), 6, "who asks"},
		"dead letters among lines": {"data_dir: /x\nreceivers: {http: 127.0.0.1:1}\nexporters:\n- {name: a, elasticsearch: {urls: [http://a], dead_letter_data_stream: logs-braid-default}}\n",
			4, "dead letters"},

		"token in the clear":      {agent("{url: http://a:1, bearer_token_file: t}", ""), 3, "needs an https URL"},
		"tls without https":       {agent("{url: http://a:1, tls: {ca_file: c}}", ""), 3, "for an https URL"},
		"half a certificate":      {agent("{url: https://a:1, tls: {cert_file: c}}", ""), 3, "belong together"},
		"agent's access":          {agent("{url: http://a:1}", "web: {access: {kubernetes: true}}"), 4, "for an aggregator"},
		"agent's audit log":       {agent("{url: http://a:1}", "web: {audit_log: stderr}"), 4, "for an aggregator"},
		"agent reviews":           {agent("{url: http://a:1}", "receivers: {grpc: "+reviewed+"}"), 4, "for an aggregator"},
		"agent reviews on web":    {agent("{url: http://a:1}", "web: {listen: "+reviewed+"}"), 4, "for an aggregator"},
		"unknown key of upstream": {agent("{url: http://a:1, token: x}", ""), 3, "unknown key"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			if strings.Contains(test.text, "exporters:") {
				_, err = ParseAggregator("a.yaml", []byte(test.text))
			} else {
				_, err = ParseAgent("a.yaml", []byte(test.text))
			}
			for _, p := range problems(t, err) {
				if p.Line == test.line && strings.Contains(p.Text, test.says) {
					return
				}
			}
			t.Errorf("no problem in line %d says %q: %v", test.line, test.says, err)
		})
	}
	if _, err := ParseAgent("a.yaml", []byte(agent("{url: \"http://[::1]:1\", bearer_token_file: t}", ""))); err != nil {
		t.Errorf("a token over loopback: %v", err)
	}
}
