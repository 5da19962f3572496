package aggregator

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/braidhq/braid/config"
)

// Credentials rotate: the next request has what the file says then.
func TestCredentialsAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		cfg           config.Elasticsearch
		first, second string
	}{
		"API key":  {config.Elasticsearch{APIKeyFile: file}, "ApiKey one", "ApiKey two"},
		"password": {config.Elasticsearch{Username: "u", PasswordFile: file}, "Basic dTpvbmU=", "Basic dTp0d28="},
	} {
		write("one\n")
		rt, err := credentials(&c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = append(got, r.Header.Get("Authorization"))
		}))
		for _, text := range []string{"one\n", "two"} {
			write(text)
			resp, err := (&http.Client{Transport: rt}).Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		server.Close()
		if len(got) != 2 || got[0] != c.first || got[1] != c.second {
			t.Errorf("%s: sent %q", name, got)
		}
		write(" \n")
		if _, err := credentials(&c.cfg); err == nil {
			t.Errorf("%s: an empty file is taken", name)
		}
		c.cfg.APIKeyFile, c.cfg.PasswordFile = c.cfg.APIKeyFile+"x", c.cfg.PasswordFile+"x"
		if _, err := credentials(&c.cfg); err == nil {
			t.Errorf("%s: a missing file is taken", name)
		}
	}
	if rt, err := credentials(&config.Elasticsearch{}); rt != nil || err != nil {
		t.Errorf("without credentials: %v, %v", rt, err)
	}
}
