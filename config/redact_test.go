package config

import (
	"strings"
	"testing"
)

// A configuration with a secret in every place where somebody might put one: each has the word hunter2 in it.
const withSecrets = `# hunter2 is the password
cluster: prod # hunter2
data_dir: /var/lib/braid
receivers:
  http: {address: "0.0.0.0:4318", tls: {cert_file: /etc/tls.crt, key_file: /etc/tls.key}}
sampling: {wait: 10s, keep: [{name: slow, type: slow, above: 2s}, {name: p, type: share, probability: 0.1}]}
queue: {max_bytes: 2GiB}
exporters:
  - name: mimir
    remote_write:
      url: https://u:hunter2@mimir.example/api/v1/push?token=hunter2#hunter2
      headers: {X-Scope-OrgID: hunter2, X-Number: 2222222}
      http_headers: {Authorization: {values: [hunter2]}}
      basic_auth: {username: hunter2, password: 1234567, password_file: /etc/mimir-password}
      authorization: {type: hunter2, credentials: hunter2}
      oauth2: {client_id: hunter2, client_secret: "hunter2", endpoint_params: {a: hunter2}, token_url: "https://x/hunter2"}
      tls_config: {key: "-----BEGIN hunter2", ca: hunter2, ca_file: /etc/ca.crt}
      sigv4: {access_key: hunter2, secret_key: hunter2}
      surprise: hunter2
      block: |
        hunter2
  - name: hook
    remote_write: {url: "https://hooks.example/services/hunter2hunter2hunter2/write"}
  - name: es
    elasticsearch: {urls: ["http://hunter2@es:9200"], username: hunter2, api_key_file: /etc/es-key, timeout: 30s}
  - name: &x hunter2
    otlp: {url: *x, headers: &h {a: hunter2}}
  - name: env
    otlp: {url: "http://tempo:4318", headers: *h, compression: gzip}
scrape_configs:
  - job_name: shop
    params: {token: [hunter2]}
    ? [hunter2]
    : hunter2
    static_configs: [{targets: ["127.0.0.1:80"], labels: {x: hunter2}}]
    relabel_configs: [{source_labels: [a], regex: b, target_label: __param_token, replacement: hunter2}]
---
password: hunter2
`

func TestARedactedConfigurationHasNoSecret(t *testing.T) {
	got, err := Redact([]byte(withSecrets))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "1234567", "2222222", "BEGIN"} {
		if strings.Contains(string(got), secret) {
			t.Errorf("%s is in\n%s", secret, got)
		}
	}
	if !strings.HasPrefix(string(got), "cluster: prod\n") {
		t.Errorf("it does not begin as it did:\n%s", got)
	}
	for _, kept := range []string{
		"data_dir: /var/lib/braid", "key_file: /etc/tls.key", "url: https://removed@mimir.example/api/v1/push?removed\n",
		"https://hooks.example/services/removed/write", "http://removed@es:9200", "api_key_file: /etc/es-key", "timeout: 30s", "wait: 10s", "probability: 0.1",
		"max_bytes: 2GiB", "url: \"http://tempo:4318\"", "compression: gzip", "job_name: shop", "targets: [\"127.0.0.1:80\"]", "target_label: __param_token",
	} {
		if !strings.Contains(string(got), kept) {
			t.Errorf("%s is missing in\n%s", kept, got)
		}
	}
	if _, err := Redact([]byte("a: hunter2: x")); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("what is no YAML: %v", err)
	}
}

func TestRedactURLs(t *testing.T) {
	for text, want := range map[string]string{
		`x{url="http://u:p@h/a?b=c"} 1`: `x{url="http://removed@h/a?removed"} 1`,
		"no url":                        "no url",
		"see ftp://h/%zz now":           "see <removed> now",
		"http://h:9090/api/v1/write":    "http://h:9090/api/v1/write",
	} {
		if got := RedactURLs(text); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}
