package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTheCheckedInDashboardsAreCurrent(t *testing.T) {
	made := files()
	there, err := filepath.Glob("../grafana/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if made[filepath.Base(file)] == nil {
			t.Errorf("%s is nobody's", file)
		}
	}
	for name, text := range made {
		if got, err := os.ReadFile(filepath.Join("../grafana", name)); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s is not what the generator writes (%v): go generate ./dashboards", name, err)
		}
	}
}
