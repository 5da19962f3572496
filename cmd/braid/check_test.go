package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckWarnsOfWhoIsLetIn(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "aggregator.yaml"), `data_dir: /x
receivers:
  http: {address: "127.0.0.1:1", auth: {kubernetes: {}, users: [agent]}}
  grpc: {address: "127.0.0.1:2", auth: {kubernetes: {}}}
exporters: [{name: local, store: {}}]
web: {listen: {address: "127.0.0.1:3", auth: {kubernetes: {}}}}
`)
	got := invoke(t, "check", file)
	if got.code != 0 || strings.Count(got.stderr, "warning") != 2 || !strings.Contains(got.stderr, "warning: receivers.grpc takes tokens") ||
		!strings.Contains(got.stderr, "warning: web.listen asks who comes") {
		t.Errorf("%v", got)
	}
	exposed := writeFile(t, filepath.Join(t.TempDir(), "aggregator.yaml"), "data_dir: /x\nreceivers: {http: \"0.0.0.0:1\"}\nexporters: [{name: local, store: {}}]\n")
	if got := invoke(t, "check", exposed); got.code != 1 || !strings.Contains(got.stderr, "aggregator.yaml:2: ") || !strings.Contains(got.stderr, "neither TLS nor authentication") {
		t.Errorf("%v", got)
	}
}
