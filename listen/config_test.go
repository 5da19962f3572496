package listen

import (
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
		{"mapping", "address: 0.0.0.0:4318\ninsecure: true\nmax_connections: 12", Config{"0.0.0.0:4318", true, 12}, ""},
		{"unknown key", "address: a:1\ninsecre: true", Config{}, `line 2: unknown key "insecre"`},
		{"twice", "address: a:1\naddress: b:1", Config{}, "twice"},
		{"no address", "insecure: true", Config{}, "needs an address"},
		{"empty", `""`, Config{}, "needs an address"},
		{"not a bool", "address: a:1\ninsecure: perhaps", Config{}, "line 2"},
		{"negative", "address: a:1\nmax_connections: -1", Config{}, "negative"},
		{"list", "[a, b]", Config{}, "line 1"},
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
			if err != nil || got != c.want {
				t.Fatalf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestConfigAlias(t *testing.T) {
	var got struct{ A, B Config }
	if err := yaml.Unmarshal([]byte("a: &x {address: '127.0.0.1:1', insecure: true}\nb: *x"), &got); err != nil || got.A != got.B || !got.B.Insecure {
		t.Fatalf("%+v, %v", got, err)
	}
}
