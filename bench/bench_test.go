package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/report"
)

// peers is the directory of the system that is built in a moment.
var peers string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if peers, err = os.MkdirTemp("", "braid-bench-test-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(peers)
		if out, err := exec.Command("go", "build", "-o", peers+"/", "./floor").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %s", err, out)
			return 1
		}
		return m.Run()
	}())
}

func TestARunIsMeasuredAndSaved(t *testing.T) {
	results := t.TempDir()
	args := []string{"-bench", "logs", "-systems", "floor", "-runs", "2", "-size", "16MiB", "-pace", "0", "-port", "19400", "-peers", peers, "-results", results}
	if err := run(context.Background(), args); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(results, "logs.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []report.Row
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Codec != "gzip" || rows[1].Codec != "zstd" {
		t.Fatalf("rows: %s", text)
	}
	for _, r := range rows {
		if r.System != "floor" || r.Work != "logs" || r.Unit != "GiB" || len(r.PerUnit) != 2 {
			t.Errorf("%+v", r)
		}
		if r.Median <= 0 || r.RssAnon <= 0 || r.VmHWM < r.RssAnon || r.Wire <= 2 || r.Wire >= 8 {
			t.Errorf("these are no costs: %+v", r)
		}
	}
}

// A system that loses one line and sends another twice sends the right number of them.
func TestASystemThatLosesALineFails(t *testing.T) {
	b := &bench{options: options{peers: peers, runs: 1, port: 19400}, dir: t.TempDir()}
	pods := filepath.Join(b.dir, "pods")
	lines, err := input.WriteLines(pods, 3, 300<<10, seed)
	if err != nil {
		t.Fatal(err)
	}
	w := work{name: "logs", codec: "zstd", unit: "GiB", systems: []system{floor()}, once: b.ship(pods, lines)}
	if results, err := b.all(context.Background(), []work{w}); err != nil || len(results) != 1 {
		t.Fatalf("the untouched input: %v, %v", results, err)
	}
	files, err := filepath.Glob(filepath.Join(pods, "*", "*", "*.log"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.SplitAfter(text, []byte("\n"))
	for i := range all { // two whole lines next to each other
		if bytes.Contains(all[i], []byte(" F {")) && bytes.Contains(all[i+1], []byte(" F {")) {
			all[i+1] = all[i]
			break
		}
	}
	if err := os.WriteFile(files[1], bytes.Join(all, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = b.all(context.Background(), []work{w})
	if err == nil || !strings.Contains(err.Error(), "and 1 repeated") {
		t.Errorf("a lost and a repeated line: %v", err)
	}
	if left, err := os.ReadDir(b.dir); err != nil || len(left) != 1 {
		t.Errorf("what runs leave behind: %v, %v", left, err)
	}
}

func TestASystemThatEndsFails(t *testing.T) {
	b := &bench{options: options{peers: peers, runs: 1, port: 19400}, dir: t.TempDir()}
	pods := filepath.Join(b.dir, "pods", "not_a-pod", "app")
	if err := os.MkdirAll(pods, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pods, "0.log"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := input.Lines{Bytes: 1}
	lines.Truth.Add(1)
	w := work{name: "logs", codec: "zstd", unit: "GiB", systems: []system{floor()}, once: b.ship(filepath.Join(b.dir, "pods"), lines)}
	_, err := b.all(context.Background(), []work{w})
	if err == nil || !strings.Contains(err.Error(), "it has ended: floor: exit status 1") || !strings.Contains(err.Error(), "is no path of a container's log") {
		t.Errorf("%v", err)
	}
}

func TestBadCommandLines(t *testing.T) {
	for _, args := range [][]string{{"-bench", "cpu"}, {"-size", "big"}, {"-size", "0"}, {"-runs", "0"}, {"logs"}, {"-systems", "nobody", "-bench", "metrics"}} {
		if err := run(context.Background(), args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
