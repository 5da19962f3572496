package listen

import (
	"crypto/tls"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestConfigFromYAML(t *testing.T) {
	cases := []struct {
		name, yaml string
		want       Config
		err        string
	}{
		{"scalar", `127.0.0.1:4318`, Config{Address: "127.0.0.1:4318"}, ""},
		{"quoted", `":4318"`, Config{Address: ":4318"}, ""},
		{"mapping", "address: 0.0.0.0:4318\ninsecure: true\nmax_connections: 12", Config{Address: "0.0.0.0:4318", Insecure: true, MaxConnections: 12}, ""},
		{"unknown key", "address: a:1\ninsecre: true", Config{}, `line 2: unknown key "insecre"`},
		{"twice", "address: a:1\naddress: b:1", Config{}, "twice"},
		{"no address", "insecure: true", Config{}, "needs an address"},
		{"empty", `""`, Config{}, "needs an address"},
		{"not a bool", "address: a:1\ninsecure: perhaps", Config{}, "line 2"},
		{"negative", "address: a:1\nmax_connections: -1", Config{}, "negative"},
		{"list", "[a, b]", Config{}, "line 1"},
		{"tls and tokens", "address: a:1\ntls: {cert_file: c, key_file: k, min_version: TLS13}\nauth: {bearer_token_file: t, users: [x]}",
			Config{Address: "a:1", TLS: &TLS{CertFile: "c", KeyFile: "k", MinVersion: tls.VersionTLS13}, Auth: &Auth{BearerTokenFile: "t", Users: []string{"x"}}}, ""},
		{"client certificates", "address: a:1\ntls: {cert_file: c, key_file: k, client_ca_file: a}\nauth: {users: [x]}",
			Config{Address: "a:1", TLS: &TLS{CertFile: "c", KeyFile: "k", ClientCAFile: "a", MinVersion: tls.VersionTLS12}, Auth: &Auth{Users: []string{"x"}}}, ""},
		{"kubernetes", "address: a:1\nauth: {kubernetes: {audiences: [braid]}}",
			Config{Address: "a:1", Auth: &Auth{Kubernetes: &KubernetesAuth{Audiences: []string{"braid"}}}}, ""},
		{"kubernetes, its own audience", "address: a:1\nauth: {kubernetes: {}}", Config{Address: "a:1", Auth: &Auth{Kubernetes: &KubernetesAuth{}}}, ""},
		{"key without certificate", "address: a:1\ntls: {key_file: k}", Config{}, "line 2: tls needs cert_file and key_file"},
		{"old version", "address: a:1\ntls: {cert_file: c, key_file: k, min_version: TLS11}", Config{}, "TLS12 or TLS13"},
		{"unknown key of tls", "address: a:1\ntls:\n  cert_file: c\n  key_file: k\n  client_ca: a", Config{}, `line 5: unknown key "client_ca" of tls`},
		{"two methods", "address: a:1\nauth: {bearer_token_file: t, kubernetes: {}}", Config{}, "one of"},
		{"no method", "address: a:1\nauth: {users: [x]}", Config{}, "nobody could be let in"},
		{"empty auth", "address: a:1\nauth:", Config{}, "nobody could be let in"},
		{"auth is no word", "address: a:1\nauth: none", Config{}, "auth is a mapping"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got Config
			err := yaml.Unmarshal([]byte(c.yaml), &got)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestConfigAlias(t *testing.T) {
	var got struct{ A, B Config }
	if err := yaml.Unmarshal([]byte("a: &x {address: '127.0.0.1:1', insecure: true}\nb: *x"), &got); err != nil || !reflect.DeepEqual(got.A, got.B) || !got.B.Insecure {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestEveryErrorOfAListenerIsReported(t *testing.T) {
	var got struct{ A, B Config }
	err := yaml.Unmarshal([]byte("a:\n  addr: x\n  insecure: perhaps\n  tls: {}\nb: {address: 'a:1', x: 1}"), &got)
	for _, want := range []string{`line 2: unknown key "addr"`, "line 3: cannot unmarshal", "line 4: tls needs", "needs an address", `line 5: unknown key "x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestCheckKnowsWhatOpenWouldRefuse(t *testing.T) {
	secure := &TLS{CertFile: "c", KeyFile: "k"}
	for _, c := range []struct {
		config Config
		says   string
	}{
		{Config{Address: "127.0.0.1:1"}, ""},
		{Config{Address: "localhost:1"}, ""},
		{Config{Address: "somewhere:1"}, ""}, // Open looks it up
		{Config{Address: ":1"}, "neither TLS nor authentication"},
		{Config{Address: "10.0.0.1:1", TLS: secure}, "no authentication"},
		{Config{Address: "10.0.0.1:1", Auth: &Auth{BearerTokenFile: "t"}}, "no TLS"},
		{Config{Address: "10.0.0.1:1", TLS: secure, Auth: &Auth{BearerTokenFile: "t"}}, ""},
		{Config{Address: "10.0.0.1:1", TLS: &TLS{CertFile: "c", KeyFile: "k", ClientCAFile: "a"}}, ""},
		{Config{Address: "10.0.0.1:1", Insecure: true}, ""},
	} {
		err := c.config.Check()
		if (err == nil) != (c.says == "") || (err != nil && !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.says)
		}
	}
}
