package listen

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braidhq/braid/listen/listentest"
)

func TestTokensOfAFile(t *testing.T) {
	dir := t.TempDir()
	r := open(t, Config{Auth: &Auth{BearerTokenFile: listentest.Write(t, dir, "agents", []byte("\n one \ntwo"))}}, Options{Open: []string{"/-/ready"}})
	c := r.client(nil, true)
	r.want(c, "one", 200, "agents")
	r.want(c, "two", 200, "agents")
	for _, token := range []string{"", "on", "onee", "one two", "\u00a0one"} {
		r.want(c, token, 401, "Unauthorized: ")
	}
	for name, header := range map[string][]string{
		"basic": {"Basic b25lOm9uZQ=="}, "two headers": {"Bearer one", "Bearer one"}, "no scheme": {"one"}, "no token": {"Bearer "},
	} {
		req, _ := http.NewRequest(http.MethodGet, "http://"+r.listener.Addr().String(), nil)
		req.Header["Authorization"] = header
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %s %v", name, resp.Status, resp.Header)
		}
	}
	req, _ := http.NewRequest(http.MethodGet, "http://"+r.listener.Addr().String(), nil)
	req.Header.Set("Authorization", "bearer one")
	if resp, err := c.Do(req); err != nil || resp.StatusCode != 200 {
		t.Errorf("a scheme in lower case: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}

	listentest.Write(t, dir, "agents", []byte("two\nthree"))
	r.later(lookEvery)
	r.want(c, "one", 401, "")
	r.want(c, "two", 200, "agents")
	r.want(c, "three", 200, "agents")
	listentest.Write(t, dir, "agents", nil) // which is being written
	r.later(lookEvery)
	r.want(c, "three", 200, "agents")
	if reloads, _ := r.told(); len(reloads) != 2 || reloads[0] != nil || reloads[1] == nil {
		t.Errorf("told of %v", reloads)
	}
	if strings.Contains(strings.Join(dump(r), " "), "three") {
		t.Error("a token stays in memory as it is")
	}
}

// dump are the texts that the set of tokens keeps.
func dump(r *rig) []string {
	var all []string
	for _, token := range r.listener.tokens.value {
		all = append(all, token.name, string(token.hash[:]))
	}
	return all
}

// TestTokensOfAMountedSecret goes through what the kubelet does with a Secret: a hidden directory with the data, a link
// to it, and links for the files; a change swaps the link.
func TestTokensOfAMountedSecret(t *testing.T) {
	dir := t.TempDir()
	state := func(version string, tokens map[string]string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, token := range tokens {
			listentest.Write(t, filepath.Join(dir, version), name, []byte(token))
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(version, filepath.Join(dir, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	state("..1", map[string]string{"grafana": "g1", "agents": "a1"})
	r := open(t, Config{Auth: &Auth{BearerTokenFile: dir}}, Options{})
	c := r.client(nil, true)
	r.want(c, "g1", 200, "grafana")
	r.want(c, "a1", 200, "agents")
	state("..2", map[string]string{"agents": "a2"}) // the link of grafana leads nowhere now
	r.later(lookEvery)
	r.want(c, "a2", 200, "agents")
	r.want(c, "a1", 401, "")
	r.want(c, "g1", 401, "")
	if err := os.Remove(filepath.Join(dir, "agents")); err != nil {
		t.Fatal(err)
	}
	r.later(lookEvery)
	r.want(c, "a2", 401, "") // who is taken away is out, the last one too
}
