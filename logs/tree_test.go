package logs

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const realTree = "testdata/node/var-log/pods"

// expectTree reads a tree by the plainest means: split lines at newlines, cut the CRI head off, join P to F.
func expectTree(t *testing.T, root string) map[line]int {
	t.Helper()
	files, err := tail.List(root, format.CRI)
	if err != nil {
		t.Fatal(err)
	}
	want := map[line]int{}
	for _, file := range files {
		r, err := tail.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		expectFile(file, data, want)
	}
	return want
}

func expectFile(file tail.File, data []byte, want map[line]int) {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	id := tail.FileID(file.Container, first)
	open := map[string]string{}
	end := int64(0)
	last := map[string]int64{}
	for _, raw := range strings.SplitAfter(string(data), "\n") {
		if raw == "" {
			break
		}
		end += int64(len(raw))
		head := strings.SplitN(strings.TrimSuffix(raw, "\n"), " ", 4)
		stream := telemetry.Stdout
		if head[1] == "stderr" {
			stream = telemetry.Stderr
		}
		open[head[1]] += head[3]
		last[head[1]] = end
		if head[2] == "F" {
			want[line{file: id, stream: stream, position: end, body: open[head[1]]}]++
			delete(open, head[1])
		}
	}
	for name, body := range open {
		stream := telemetry.Stdout
		if name == "stderr" {
			stream = telemetry.Stderr
		}
		want[line{file: id, stream: stream, position: last[name], body: body}]++
	}
}

// Every line of every file of a real node's tree, compressed files included, arrives exactly once.
func TestRealTree(t *testing.T) {
	want := expectTree(t, realTree)
	if len(want) < 3000 {
		t.Fatalf("the tree has %d lines only", len(want))
	}
	sink := newRecorder()
	o := Options{Roots: []Root{{Path: realTree, Format: format.CRI}}, StateDir: t.TempDir(), Cluster: "c", Node: "n"}
	stop := start(t, o, sink)
	got := sink.await(t, "the whole tree", func(l []line) bool { return len(l) >= len(want) })
	stop()
	compareLines(t, want, got)
	for _, l := range got {
		r := l.resource
		if r.Cluster != "c" || r.Node != "n" || r.Namespace != "demo" || r.Pod == "" || r.PodUID == "" || r.Service != r.Container {
			t.Fatalf("resource %+v", r)
		}
	}
	// A second start finds nothing new.
	again := newRecorder()
	stop = start(t, o, again)
	stop()
	if n := len(again.snapshot()); n != 0 {
		t.Fatalf("%d lines came again after a clean restart", n)
	}
}

func compareLines(t *testing.T, want map[line]int, got []line) {
	t.Helper()
	seen := map[line]int{}
	for _, l := range got {
		key := line{file: l.file, stream: l.stream, position: l.position, body: l.body}
		if seen[key]++; seen[key] > want[key] {
			t.Fatalf("came too often or was never written: %+v", l)
		}
	}
	for l := range want {
		if seen[l] == 0 {
			t.Fatalf("never came: file %s stream %s position %d %.80q", l.file, l.stream, l.position, l.body)
		}
	}
}
