package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A real node's log tree, the pods that were in it, and what kubectl logs answered then.
const (
	nodeTree       = "../../logs/testdata/node/var-log/pods"
	kubectlAnswers = "../../logs/testdata/kubectl"
	nodePods       = kubectlAnswers + "/pods.json"
)

// An invocation is what came of running the program.
type invocation struct {
	stdout, stderr string
	code           int
}

func (i invocation) String() string {
	return fmt.Sprintf("stdout %+q, stderr %+q, code %d", i.stdout, i.stderr, i.code)
}

// invoke runs the root command in this process.
func invoke(t testing.TB, args ...string) invocation {
	t.Helper()
	var out, errOut bytes.Buffer
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errOut)
	err := root.ExecuteContext(t.Context())
	var code exitError
	switch {
	case errors.As(err, &code):
	case err != nil:
		t.Fatalf("%q: the error has no exit code: %v", args, err)
	}
	return invocation{out.String(), errOut.String(), int(code)}
}

// execute runs the built program.
func execute(t testing.TB, args ...string) invocation {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command(braid(t), args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return invocation{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

func nodeArgs(args ...string) []string {
	return append([]string{"logs", "--path", nodeTree, "--pods", nodePods, "-n", "demo"}, args...)
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Each file of kubectl's answers, and the arguments that must print the same bytes.
func TestPrintsWhatKubectlPrinted(t *testing.T) {
	answers := map[string][]string{
		"logs-longlines.txt":            {"longlines"},
		"logs-longlines-timestamps.txt": {"longlines", "--timestamps"},
		"logs-batch.txt":                {"job/batch"},
		"logs-pair-migrate.txt":         {"pair-795dfcb7b5-nnt9b", "-c", "migrate"},
		"logs-pair-sidecar-p.txt":       {"pair-795dfcb7b5-nnt9b", "-c", "sidecar", "-p"},
		"logs-crasher.txt":              {"crasher-775449749c-shdf4"},
		"logs-crasher-p.txt":            {"crasher-775449749c-shdf4", "-p"},
		"logs-noimage.txt":              {"noimage"},
		"logs-web-tail20.txt":           {"-l", "app=web", "--prefix", "--timestamps", "--tail=20"},
	}
	files, err := filepath.Glob(kubectlAnswers + "/logs-*.txt")
	if err != nil || len(files) != len(answers) {
		t.Fatalf("%d answers of kubectl, %d expectations, %v", len(files), len(answers), err)
	}
	for name, run := range map[string]func(testing.TB, ...string) invocation{"in process": invoke, "program": execute} {
		for _, file := range files {
			args, ok := answers[filepath.Base(file)]
			if !ok {
				t.Fatalf("nobody knows what printed %s", file)
			}
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				got := run(t, nodeArgs(args...)...)
				want := invocation{stdout: readFile(t, file)}
				if data, err := os.ReadFile(file + ".err"); err == nil {
					want.stderr, want.code = string(data), 1
				}
				if strings.HasSuffix(file, "web-tail20.txt") {
					compareTails(t, got.stdout, want.stdout)
					got.stdout, want.stdout = "", ""
				}
				if got != want {
					t.Errorf("code %d, want %d; stderr %q, want %q; stdout equal: %v, %d bytes, want %d",
						got.code, want.code, got.stderr, want.stderr, got.stdout == want.stdout, len(got.stdout), len(want.stdout))
				}
			})
		}
	}
}

// compareTails compares pod by pod: kubectl answered two seconds after the tree was copied, so of its lines only those
// that are not newer than the pod's last line in the tree can be here, and they are the last ones here.
func compareTails(t *testing.T, got, want string) {
	t.Helper()
	pods, gotLines := byPod(got)
	wantPods, wantLines := byPod(want)
	if !slices.Equal(pods, wantPods) || len(pods) != 3 {
		t.Fatalf("pods in order %q, want %q", pods, wantPods)
	}
	for _, pod := range pods {
		mine, theirs := gotLines[pod], wantLines[pod]
		if len(mine) != 20 {
			t.Errorf("%s: %d lines, want 20", pod, len(mine))
		}
		last := stampOf(mine[len(mine)-1])
		n := 0
		for n < len(theirs) && stampOf(theirs[n]) <= last {
			n++
		}
		if n < 10 {
			t.Fatalf("%s: only %d lines to compare", pod, n)
		}
		if !slices.Equal(mine[len(mine)-n:], theirs[:n]) {
			t.Errorf("%s: the last %d lines differ:\n%q\nwant\n%q", pod, n, mine[len(mine)-n:], theirs[:n])
		}
	}
}

// byPod returns the pods in the order of their parts, and the lines of each.
func byPod(text string) (pods []string, lines map[string][]string) {
	lines = make(map[string][]string)
	for line := range strings.Lines(text) {
		pod, _, _ := strings.Cut(line, " ")
		if len(pods) == 0 || pods[len(pods)-1] != pod {
			pods = append(pods, pod)
		}
		lines[pod] = append(lines[pod], line)
	}
	return pods, lines
}

// stampOf returns the padded time stamp, which orders as text.
func stampOf(line string) string { return strings.Fields(line)[1] }
