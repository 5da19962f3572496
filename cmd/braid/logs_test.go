package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/braidhq/braid/query"
)

// A small tree whose every byte is known: two pods of a deployment, one with two containers and a restart.
var smallTree = map[string]string{
	"shop_cart-5d-a_1/web/0.log": "2026-01-01T00:00:01Z stdout F before the restart\n" +
		"2026-01-01T00:00:02Z stderr P last words\n",
	"shop_cart-5d-a_1/web/1.log": "2026-01-01T00:00:03Z stdout F level=info msg=up\n" +
		"2026-01-01T00:00:04.5Z stdout F level=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n",
	"shop_cart-5d-a_1/side/0.log":  "2026-01-01T00:00:03Z stdout F sync\n",
	"shop_cart-5d-b_2/web/0.log":   "2026-01-01T00:00:05.123456789Z stdout F b\n2026-01-01T00:00:06Z stdout F \n",
	"other_lone_3/main/0.log":      "2026-01-01T00:00:07Z stdout F alone\n",
	"other_twice_old/main/0.log":   "2026-01-01T00:00:08Z stdout F old\n",
	"other_twice_young/main/0.log": "2026-01-01T00:00:09Z stdout F young\n",
}

const smallPods = `{"kind":"List","items":[
 {"kind":"Pod","metadata":{"namespace":"shop","name":"cart-5d-a","uid":"1","labels":{"app":"cart","pod-template-hash":"5d"},
  "ownerReferences":[{"kind":"ReplicaSet","name":"cart-5d"}]},
  "spec":{"containers":[{"name":"web"},{"name":"side"}]},
  "status":{"containerStatuses":[
   {"name":"web","restartCount":1,"containerID":"containerd://b","state":{"running":{}},"lastState":{"terminated":{"containerID":"containerd://a"}}},
   {"name":"side","restartCount":0,"containerID":"containerd://s","state":{"running":{}}}]}},
 {"kind":"Pod","metadata":{"namespace":"shop","name":"cart-5d-b","uid":"2","labels":{"app":"cart","pod-template-hash":"5d"},
  "ownerReferences":[{"kind":"ReplicaSet","name":"cart-5d"}]},
  "spec":{"containers":[{"name":"web"}]},
  "status":{"containerStatuses":[{"name":"web","restartCount":0,"containerID":"containerd://c","state":{"running":{}}}]}},
 {"kind":"Pod","metadata":{"namespace":"shop","name":"new","uid":"9","labels":{"app":"new"}},
  "spec":{"containers":[{"name":"main"}]},
  "status":{"containerStatuses":[{"name":"main","state":{"waiting":{"reason":"ContainerCreating"}}}]}},
 {"kind":"Pod","metadata":{"namespace":"other","name":"lone","uid":"3"},
  "spec":{"containers":[{"name":"main"}]},
  "status":{"containerStatuses":[{"name":"main","containerID":"containerd://l","state":{"running":{}}}]}}]}`

// small writes the tree and returns arguments that read it, without and with the list of pods.
func small(t testing.TB) (path, withPods []string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o750), os.WriteFile(file, []byte(text), 0o640)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, text := range smallTree {
		write("pods/"+name, text)
	}
	young := filepath.Join(dir, "pods", "other_twice_young/main/0.log")
	info, err := os.Stat(young)
	if err != nil {
		t.Fatal(err)
	}
	old := info.ModTime().Add(-1e9)
	if err := os.Chtimes(filepath.Join(dir, "pods", "other_twice_old/main/0.log"), old, old); err != nil {
		t.Fatal(err)
	}
	path = []string{"logs", "--path", filepath.Join(dir, "pods")}
	return path, append(path[:3:3], "--pods", write("pods.json", smallPods))
}

const defaulted = "Defaulted container \"web\" out of: web, side\n"

// The specification of the flags: what is printed where, and the exit code. The tree is read with the list of pods.
func TestLogs(t *testing.T) {
	_, withPods := small(t)
	const aWeb = "level=info msg=up\nlevel=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n"
	for _, test := range []struct {
		args           string
		stdout, stderr string
		code           int
	}{
		{"-n other lone", "alone\n", "", 0},
		{"-n other pod/lone", "alone\n", "", 0},
		{"-n other lone main", "alone\n", "", 0},
		{"-n shop cart-5d-a", aWeb, defaulted, 0},
		{"-n shop cart-5d-a -c side", "sync\n", "", 0},
		{"-n shop cart-5d-a --all-containers", aWeb + "sync\n", "", 0},
		{"-n shop cart-5d-a -p -c web", "before the restart\nlast words", "", 0},
		{"-n shop deploy/cart -c web", aWeb, "Found 2 pods, using pod/cart-5d-a\n", 0},
		{"-n shop deploy/cart -c web --all-pods --tail=1", "[pod/cart-5d-a/web] level=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n[pod/cart-5d-b/web] \n", "", 0},
		{"-n shop -l app=cart -c web", aWeb + "b\n\n", "", 0},
		{"-n shop -l app=cart,x!=y -c web --prefix --tail=1", "[pod/cart-5d-a/web] level=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n[pod/cart-5d-b/web] \n", "", 0},
		{"-n shop cart-5d-b --timestamps", "2026-01-01T00:00:05.123456789Z b\n2026-01-01T00:00:06.000000000Z \n", "", 0},
		{"-n shop cart-5d-b --prefix --timestamps --tail=1", "[pod/cart-5d-b/web] 2026-01-01T00:00:06.000000000Z \n", "", 0},
		{"-n shop cart-5d-b --tail=0", "", "", 0},
		{"-n shop cart-5d-b --tail=-1", "b\n\n", "", 0},
		{"-n shop cart-5d-b --limit-bytes=1", "b", "", 0},
		{"-n shop cart-5d-b --limit-bytes=2", "b\n", "", 0},
		{"-n shop cart-5d-b --limit-bytes=100", "b\n\n", "", 0},
		{"-n shop cart-5d-b --limit-bytes=10 --timestamps --prefix", "[pod/cart-5d-b/web] 2026-01-01", "", 0},
		{"-n shop -l app=cart -c web --limit-bytes=3", "levb\n\n", "", 0},
		{"-n shop cart-5d-a -c web --since-time=2026-01-01T00:00:04Z", "level=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n", "", 0},
		{"-n shop cart-5d-a -c web --since-time=2026-01-01T02:00:05+02:00", "", "", 0},
		{"-n other lone --since=1000000h", "alone\n", "", 0},
		{"-n shop cart-5d-a -c web -i error -i info", aWeb, "", 0},
		{"-n shop cart-5d-a -c web -i level= -e =err", "level=info msg=up\n", "", 0},
		{"-n shop cart-5d-a -c web --tail=1 -i info", "", "", 0},
		{"-n shop cart-5d-a -c web --color always -e down", "level=info msg=up\n", "", 0},
		{"-n shop cart-5d-a -c web --trace 4bf92f3577b34da6a3ce929d0e0e4736", "level=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n", "", 0},
		{"-n shop cart-5d-a -c web --trace 5bf92f3577b34da6a3ce929d0e0e4736", "", "", 0},
		{"-n shop cart-5d-a -c web --color always --prefix", "\x1b[36m[pod/cart-5d-a/web]\x1b[0m level=info msg=up\n" +
			"\x1b[36m[pod/cart-5d-a/web]\x1b[0m \x1b[31mlevel=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\x1b[0m\n", "", 0},
		{"-A lone", "alone\n", "", 0},
		{"-A -l !app --prefix", "[other/pod/lone/main] alone\n", "", 0},

		// All of a namespace: every container, with its prefix; what has no log is told and passed by.
		{"-n other", "[pod/lone/main] alone\n", "", 0},
		{"-n shop --tail=1", "[pod/cart-5d-a/web] level=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n[pod/cart-5d-a/side] sync\n[pod/cart-5d-b/web] \n",
			"Error from server (BadRequest): container \"main\" in pod \"new\" is waiting to start: ContainerCreating\n", 0},
		{"-n shop -c side", "[pod/cart-5d-a/side] sync\n", "", 0},
		{"-n empty", "", "No resources found in empty namespace.\n", 0},

		// What kubectl says when there is nothing to print.
		{"-n shop -l app=none", "", "No resources found in shop namespace.\n", 0},
		{"-A -l app=none", "", "No resources found\n", 0},
		{"-n shop new", "", "Error from server (BadRequest): container \"main\" in pod \"new\" is waiting to start: ContainerCreating\n", 1},
		{"-n shop new --ignore-errors", "error: Error from server (BadRequest): container \"main\" in pod \"new\" is waiting to start: ContainerCreating\n", "", 0},
		{"-n shop cart-5d-b -p", "", "Error from server (BadRequest): previous terminated container \"web\" in pod \"cart-5d-b\" not found\n", 1},
		{"-n shop x", "", "error: error from server (NotFound): pods \"x\" not found in namespace \"shop\"\n", 1},
		{"lone", "", "error: error from server (NotFound): pods \"lone\" not found in namespace \"default\"\n", 1},
		{"-n shop job/x", "", "error: error from server (NotFound): jobs.batch \"x\" not found in namespace \"shop\"\n", 1},
		{"-n shop cart-5d-a -c x", "", "error: container x is not valid for pod cart-5d-a\n", 1},
		{"-n shop -l app=cart -c web -p", "before the restart\nlast words", "Error from server (BadRequest): previous terminated container \"web\" in pod \"cart-5d-b\" not found\n", 1},
	} {
		got := invoke(t, append(withPods[:len(withPods):len(withPods)], strings.Fields(test.args)...)...)
		if want := (invocation{test.stdout, test.stderr, test.code}); got != want {
			t.Errorf("braid logs %s:\n%v\nwant\n%v", test.args, got, want)
		}
	}
}

// What is refused before anything is read, in kubectl's words where kubectl has the flag.
func TestLogsUsage(t *testing.T) {
	path, _ := small(t)
	const hint = "\nSee 'braid logs -h' for help and examples\n"
	for _, test := range []struct{ args, stderr string }{
		{"a b c", "error: expected 'logs [-f] [-p] [POD | TYPE/NAME] [-c CONTAINER]'" + hint},
		{"a b -c c", "error: only one of -c or an inline [CONTAINER] arg is allowed\n"},
		{"a -l b=c", "error: only a selector (-l) or a POD name is allowed" + hint},
		{"a --since=1h --since-time=2026-01-01T00:00:00Z", "error: at most one of `sinceTime` or `sinceSeconds` may be specified\n"},
		{"a --since=-1s", "error: --since must be greater than 0\n"},
		{"a --since-time=yesterday", "error: parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": it is no RFC 3339 time\n"},
		{"a --tail=-2", "error: --tail must be greater than or equal to -1\n"},
		{"a --limit-bytes=-1", "error: --limit-bytes must be greater than 0\n"},
		{"a --all-containers -c main", "error: --all-containers=true should not be specified with container name main\n"},
		{"a --zzz", "Error: unknown flag: --zzz\nSee 'braid logs --help' for usage.\n"},
		{"a --tail=x", "Error: invalid argument \"x\" for \"--tail\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\nSee 'braid logs --help' for usage.\n"},
		{"a -o yaml", "error: -o \"yaml\" is unknown: raw or json" + hint},
		{"a --color pink", "error: --color \"pink\" is unknown: auto, always or never" + hint},
		{"a --trace 12", "error: \"12\" is no trace id: want 32 hex digits" + hint},
		{"a --trace 00000000000000000000000000000000", "error: \"00000000000000000000000000000000\" is no trace id: it is all zero" + hint},
		{"a -i (", "error: cannot read --include: error parsing regexp: missing closing ): `(`" + hint},
		{"a -e (", "error: cannot read --exclude: error parsing regexp: missing closing ): `(`" + hint},
		{"a --server http://localhost", "error: at most one of --path and --server may be specified\n"},
		{"a --pods nowhere.json", "error: cannot read pods: open nowhere.json: no such file or directory\n"},
		{"-l a=b", "error: -l needs the labels of the pods: give them with --pods FILE (kubectl get pods -o json)\n"},
		{"deploy/a", "error: deploy/a needs the owners of the pods: give them with --pods FILE (kubectl get pods -o json)\n"},
	} {
		got := invoke(t, append(path[:3:3], strings.Fields(test.args)...)...)
		if want := (invocation{"", test.stderr, 1}); got != want {
			t.Errorf("braid logs %s:\n%v\nwant\n%v", test.args, got, want)
		}
	}
	got := invoke(t, "logs", "--path", filepath.Join(t.TempDir(), "nowhere"), "a")
	if !strings.HasPrefix(got.stderr, "error: cannot read the log tree: open ") || got.code != 1 {
		t.Errorf("a tree that is not there: %v", got)
	}
}

// Without the list of pods the names of the directories are all there is to know.
func TestLogsFromATreeAlone(t *testing.T) {
	path, _ := small(t)
	for _, test := range []struct {
		args           string
		stdout, stderr string
		code           int
	}{
		{"-n other lone", "alone\n", "", 0},
		{"-n other pod/lone", "alone\n", "", 0},
		{"-n other twice", "young\n", "", 0},
		{"-n shop cart-5d-a -c web --tail=1", "level=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n", "", 0},
		{"-n shop cart-5d-a -c web -p", "before the restart\nlast words", "", 0},
		{"-n shop cart-5d-a --all-containers --tail=1 --prefix", "[pod/cart-5d-a/side] sync\n[pod/cart-5d-a/web] level=error msg=down trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n", "", 0},
		{"-n other", "[pod/lone/main] alone\n[pod/twice/main] old\n[pod/twice/main] young\n", "", 0},
		{"-A -c side", "[shop/pod/cart-5d-a/side] sync\n", "", 0},
		{"-A twice", "young\n", "", 0},
		{"-n shop cart-5d-a", "", "error: a container name must be specified for pod cart-5d-a, choose one of: [side web] " +
			"(-c CONTAINER, --all-containers, or --pods FILE for the default one)\n", 1},
		{"-n shop cart-5d-a -c x", "", "error: container x is not valid for pod cart-5d-a\n", 1},
		{"-n shop cart-5d-b -p", "", "Error from server (BadRequest): previous terminated container \"web\" in pod \"cart-5d-b\" not found\n", 1},
		{"-n shop x", "", "error: error from server (NotFound): pods \"x\" not found in namespace \"shop\"\n", 1},
		{"-n empty", "", "No pods found in empty namespace.\n", 0},
	} {
		got := invoke(t, append(path[:3:3], strings.Fields(test.args)...)...)
		if want := (invocation{test.stdout, test.stderr, test.code}); got != want {
			t.Errorf("braid logs %s:\n%v\nwant\n%v", test.args, got, want)
		}
	}
	// /var/log will do for /var/log/pods.
	if got := invoke(t, "logs", "--path", filepath.Dir(path[2]), "-n", "other", "lone"); got.stdout != "alone\n" {
		t.Errorf("from the directory above: %v", got)
	}
}

func TestLogsAsJSON(t *testing.T) {
	_, withPods := small(t)
	got := invoke(t, append(withPods, "-n", "shop", "cart-5d-a", "-c", "web", "-o", "json", "--tail=1", "--prefix", "--timestamps")...)
	var line query.LogLine
	d := json.NewDecoder(strings.NewReader(got.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&line); err != nil {
		t.Fatalf("%v: %s", err, got.stdout)
	}
	if line.Namespace != "shop" || line.Pod != "cart-5d-a" || line.PodUID != "1" || line.Container != "web" || *line.Restart != 1 ||
		line.Stream != "stdout" || len(line.UID) != 40 || line.Time.Format(kubectlTime) != "2026-01-01T00:00:04.500000000Z" ||
		line.Severity != "error" || line.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || !strings.HasPrefix(line.Body, "level=error") {
		t.Errorf("%s", got.stdout)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("more than one line: %s", got.stdout)
	}
}

func TestLogsFollowRefusesTooManyStreams(t *testing.T) {
	_, withPods := small(t)
	got := invoke(t, append(withPods, "-n", "shop", "-l", "app=cart", "-c", "web", "-f", "--max-log-requests=1")...)
	want := invocation{"", "error: you are attempting to follow 2 log streams, but maximum allowed concurrency is 1, use --max-log-requests to increase the limit\n", 1}
	if got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestLogsCompletion(t *testing.T) {
	path, withPods := small(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{append(path[1:3:3], "-n", "shop", ""), "cart-5d-a cart-5d-b"},
		{append(path[1:3:3], "-A", ""), "cart-5d-a cart-5d-b lone twice"},
		{append(withPods[1:5:5], "-n", "shop", ""), "cart-5d-a cart-5d-b new"},
		{append(withPods[1:5:5], "-n", "shop", "cart-5d-a", "-c", ""), "side web"},
		{append(withPods[1:5:5], "-n", "shop", "cart-5d-a", ""), "side web"},
		{append(withPods[1:5:5], "-n", ""), "other shop"},
		{[]string{"-o", ""}, "raw json"},
		{[]string{""}, ""},
	} {
		got := invoke(t, append([]string{"__complete", "logs"}, test.args...)...)
		lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
		if proposals := strings.Join(lines[:len(lines)-1], " "); proposals != test.want {
			t.Errorf("%q: %q, want %q", test.args, proposals, test.want)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", syscall.EPIPE) }

// braid logs … | head is no failure to speak of.
func TestLogsIsQuietAboutABrokenPipe(t *testing.T) {
	_, withPods := small(t)
	var errOut strings.Builder
	root := newRootCommand()
	root.SetArgs(append(withPods, "-n", "other", "lone"))
	root.SetOut(brokenPipe{})
	root.SetErr(&errOut)
	err := root.ExecuteContext(t.Context())
	var code exitError
	if !errors.As(err, &code) || code != 141 || errOut.Len() != 0 {
		t.Errorf("%v, code %d, said %q", err, code, errOut.String())
	}
}
