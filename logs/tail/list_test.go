package tail

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/logs/format"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	data := []byte(content)
	if strings.HasSuffix(path, ".gz") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(data); err != nil {
			t.Fatal(err)
		}
		z.Close()
		data = b.Bytes()
	}
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
}

func names(files []File) string {
	var out []string
	for _, f := range files {
		out = append(out, filepath.Base(f.Path))
	}
	return strings.Join(out, " ")
}

// The order comes from the content: here the clock went back an hour between two rotations, and the suffixes lie.
func TestListOrder(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "ns_pod_uid", "main")
	line := func(at string) string { return "2026-11-21T00:0" + at + "Z stdout F x\n" }
	writeFile(t, filepath.Join(dir, "0.log.20261121-020000.gz"), line("1:00"))
	writeFile(t, filepath.Join(dir, "0.log.20261121-010000.gz"), line("2:00"))
	writeFile(t, filepath.Join(dir, "0.log.20261121-010500"), line("3:00"))
	writeFile(t, filepath.Join(dir, "0.log"), line("0:00"))
	writeFile(t, filepath.Join(dir, "1.log"), "")
	for _, other := range []string{"0.log.20261121-010500.tmp", "0.log.20261121-010500.gz.tmp", "00.log", "x.log", "0.logs", "0.log."} {
		writeFile(t, filepath.Join(dir, other), "nonsense\n")
	}
	writeFile(t, filepath.Join(root, "nopod", "main", "0.log"), line("9:00"))
	files, err := List(root, format.CRI)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(files); got != "0.log.20261121-020000.gz 0.log.20261121-010000.gz 0.log.20261121-010500 0.log 1.log" {
		t.Fatal(got)
	}
	if f := files[0]; f.Namespace != "ns" || f.Pod != "pod" || f.PodUID != "uid" || f.Container.Container != "main" || f.Kind != Compressed {
		t.Fatalf("%+v", f)
	}
	r, err := Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if data, err := io.ReadAll(r); err != nil || string(data) != line("1:00") {
		t.Fatalf("%q %v", data, err)
	}
}

func TestListDocker(t *testing.T) {
	root := t.TempDir()
	line := func(second string) string {
		return `{"log":"x\n","stream":"stdout","time":"2026-11-21T00:00:0` + second + `Z"}` + "\n"
	}
	writeFile(t, filepath.Join(root, "abc", "abc-json.log"), line("3"))
	writeFile(t, filepath.Join(root, "abc", "abc-json.log.1"), line("2"))
	writeFile(t, filepath.Join(root, "abc", "abc-json.log.2.gz"), line("1"))
	writeFile(t, filepath.Join(root, "abc", "other-json.log"), line("1"))
	writeFile(t, filepath.Join(root, "abc", "config.v2.json"), `{"Name":"/k8s_app","Config":{"Labels":{"io.kubernetes.container.name":"app",`+
		`"io.kubernetes.pod.name":"p","io.kubernetes.pod.namespace":"n","io.kubernetes.pod.uid":"u",`+
		`"annotation.io.kubernetes.container.restartCount":"4"}}}`)
	writeFile(t, filepath.Join(root, "def", "def-json.log"), line("1"))
	writeFile(t, filepath.Join(root, "def", "config.v2.json"), `{"Name":"/redis"}`)
	writeFile(t, filepath.Join(root, "ghi", "ghi-json.log"), line("1"))
	files, err := List(root, format.Docker)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(files); got != "abc-json.log.2.gz abc-json.log.1 abc-json.log def-json.log ghi-json.log" {
		t.Fatal(got)
	}
	want := Container{Namespace: "n", Pod: "p", PodUID: "u", Container: "app", ContainerID: "abc", Restart: 4, Dir: "abc"}
	if files[0].Container != want || files[3].Container.Container != "redis" || files[4].Container.Container != "ghi" || files[4].Restart != -1 {
		t.Fatalf("%+v", files)
	}
	// The identity does not hang on what the configuration says at the moment.
	unnamed := Container{ContainerID: "abc", Container: "abc", Restart: -1, Dir: "abc"}
	if FileID(want, []byte("x")) != FileID(unnamed, []byte("x")) {
		t.Fatal("identity changes with the names")
	}
}

// What cannot be read is told; the rest is returned.
func TestListUnreadable(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "ns_pod_uid", "main", "0.log"), "2026-11-21T00:00:00Z stdout F x\n")
	writeFile(t, filepath.Join(root, "ns_pod_uid", "main", "0.log.x.gz"), "")
	if err := os.WriteFile(filepath.Join(root, "ns_pod_uid", "main", "0.log.x.gz"), []byte("no gzip at all"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("ns_loop_uid", filepath.Join(root, "ns_loop_uid")); err != nil {
		t.Fatal(err)
	}
	files, err := List(root, format.CRI)
	if err == nil || !strings.Contains(err.Error(), "ns_loop_uid") || !strings.Contains(err.Error(), "0.log.x.gz") {
		t.Fatal(err)
	}
	if !strings.Contains(names(files), "0.log") {
		t.Fatal(names(files))
	}
	if _, err := List(filepath.Join(root, "nothing"), format.CRI); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}
