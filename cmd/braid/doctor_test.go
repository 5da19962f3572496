package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/braidhq/braid/diagnose"
)

// A patient is a process that shows one page after the other.
type patient struct {
	pages  []string
	date   time.Time // of the Date header; zero: none
	ahead  string    // the answer to the query for samples ahead of time
	silent []string  // paths that are forbidden
	asked  []string
}

func (p *patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked = append(p.asked, r.URL.Path)
	w.Header()["Date"] = nil
	if !p.date.IsZero() {
		w.Header().Set("Date", p.date.UTC().Format(http.TimeFormat))
	}
	switch {
	case slices.Contains(p.silent, r.URL.Path):
		http.Error(w, "not for you", http.StatusForbidden)
	case r.URL.Path == "/metrics":
		fmt.Fprint(w, p.pages[0])
		p.pages = p.pages[min(1, len(p.pages)-1):]
	case r.URL.Path == "/api/v1/query" && p.ahead != "":
		fmt.Fprint(w, p.ahead)
	case strings.HasPrefix(r.URL.Path, "/-/"), strings.HasPrefix(r.URL.Path, "/debug/pprof/"), r.URL.Path == "/metrics/spans":
		fmt.Fprintf(w, "answer of %s http://u:hunter2@h/x?y=hunter2\n", r.URL.Path)
	default:
		http.NotFound(w, r)
	}
}

const (
	wellPage = "braid_build_info{version=\"1.2.3\"} 1\nprocess_start_time_seconds 1.7e9\nbraid_pipeline_lag_bytes{cursor=\"observe\",signal=\"logs\"} 0\nbraid_pipeline_quarantine_bytes 0\n"
	sickPage = wellPage + "braid_correlate_verdicts_damaged_total 1\nbraid_pipeline_dropped_frames_total{cursor=\"es\",reason=\"skipped\",signal=\"logs\"} %d\n"
)

func sick() []string { return []string{fmt.Sprintf(sickPage, 10), fmt.Sprintf(sickPage, 30)} }

var doctorTime = time.Unix(1_700_000_060, 0)

// doctor runs the verb with a clock that goes only while it pauses.
func doctor(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	now := doctorTime
	cmd := doctorCommand(&doctorOptions{
		now:   func() time.Time { return now },
		pause: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
	})
	var out, errOut bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SetArgs(args)
	var exit exitError
	if err := cmd.ExecuteContext(t.Context()); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: the error has no exit code: %v", args, err)
	}
	return out.String(), errOut.String(), int(exit)
}

func admit(t *testing.T, p *patient) string {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return server.URL
}

func TestDoctorSaysWhatIsWrong(t *testing.T) {
	server := admit(t, &patient{pages: sick(), date: doctorTime.Add(10 * time.Second)})
	stdout, stderr, code := doctor(t, "--server", server, "--interval", "10s")
	want := "braid aggregator 1.2.3 at " + server + `, up 1m10s; read twice, 10s apart, at 2023-11-14T22:14:30Z

PROBLEM  Exporter "es" dropped 30 frames of logs, which were skipped because the lane was full (2 a second now).
         Do: Bring the exporter's backend back, raise queue.max_bytes, or do without optional: true: senders then wait in its place.
         Seen in: braid_pipeline_dropped_frames_total{signal="logs",cursor="es",reason="skipped"}
WARNING  1 record of the verdict log were damaged or missing (none in the last 10s): the traces they named count as dropped for exporters that had not passed them.
         Do: Look at the disk under data_dir/verdicts; in braid there is nothing to repair.
         Seen in: braid_correlate_verdicts_damaged_total
FINE     It is healthy and takes data.
FINE     The quarantine is empty.
FINE     Its clock and this machine's agree.

1 problem, 1 warning, 3 checks fine
`
	if stdout != want || stderr != "" || code != 1 {
		t.Errorf("exit code %d %s\n%s\nwant\n%s", code, stderr, stdout, want)
	}
	stdout, _, code = doctor(t, "--server", admit(t, &patient{pages: []string{sick()[0]}}))
	if code != 0 || !strings.HasSuffix(stdout, "\n0 problems, 2 warnings, 3 checks fine\n") {
		t.Errorf("warnings alone: exit code %d\n%s", code, stdout)
	}
	stdout, _, _ = doctor(t, "--server", admit(t, &patient{pages: sick()}), "--color", "always")
	if !strings.Contains(stdout, colorError+"PROBLEM"+colorOff) || !strings.Contains(stdout, colorWarn+"WARNING"+colorOff) {
		t.Errorf("without colours:\n%s", stdout)
	}
}

func TestDoctorForMachines(t *testing.T) {
	ahead := `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"instance":"web:80"},"value":[1,"3"]}]}}`
	server := admit(t, &patient{pages: []string{wellPage}, date: doctorTime.Add(-time.Minute), ahead: ahead})
	stdout, _, code := doctor(t, "--server", server, "-o", "json")
	var report doctorReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v: %s", code, err, stdout)
	}
	if report.Role != "aggregator" || report.Version != "1.2.3" || report.Interval != 5 || !report.Started.Equal(time.Unix(17e8, 0)) || report.Server != server {
		t.Errorf("%+v", report)
	}
	var problems []string
	for _, f := range report.Findings {
		if f.Severity == diagnose.Problem {
			problems = append(problems, f.Check+" "+f.What)
		}
	}
	want := []string{"clock Its clock is 1m05s behind this machine's.",
		"clock Samples of 1 target lie more than a minute in the future: the clocks of the nodes that scraped them are ahead (web:80)."}
	if !slices.Equal(problems, want) {
		t.Errorf("%q", problems)
	}
}

// A bundle says what the process said, and has no secret: neither of a file nor in an answer.
func TestDoctorBundle(t *testing.T) {
	dir := t.TempDir()
	bundle := filepath.Join(dir, "b.tar.gz")
	conf := writeFile(t, filepath.Join(dir, "agg.yaml"), "data_dir: /data # hunter2\nexporters: [{name: m, remote_write: {url: \"http://u:hunter2@h/w?t=hunter2\", basic_auth: {password: hunter2}}}]\n")
	pages := sick()
	for i := range pages {
		pages[i] += "braid_remote_storage_samples_failed_total{exporter=\"m\",url=\"http://h/w?token=hunter2\"} 0\n"
	}
	server := admit(t, &patient{pages: pages, date: doctorTime, silent: []string{"/debug/pprof/heap"}})
	live, stderr, code := doctor(t, "--server", server, "--write-bundle", bundle, "--config", conf)
	if code != 1 || stderr != "support bundle: "+bundle+"\n" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	files := untar(t, bundle)
	for name, part := range map[string]string{
		"manifest.json": `"status": 403`, "metrics-1.txt": `reason="skipped",signal="logs"} 10`, "metrics-2.txt": `reason="skipped",signal="logs"} 30`,
		"metrics-spans.txt": "answer of /metrics/spans", "healthy.txt": "answer of /-/healthy", "ready.txt": "/-/ready", "goroutines.txt": "/debug/pprof/goroutine",
		"goroutines.pb.gz": "/debug/pprof/goroutine", "heap.pb.gz": "not for you", "config-1-agg.yaml": "data_dir: /data\n", "findings.txt": live[:20],
	} {
		if !strings.Contains(files["braid-support/"+name], part) {
			t.Errorf("%s has no %q:\n%s", name, part, files["braid-support/"+name])
		}
	}
	for name, text := range files {
		if strings.Contains(text, "hunter2") && !strings.HasSuffix(name, ".gz") { // profiles go as they are: they have no values
			t.Errorf("%s has a secret:\n%s", name, text)
		}
	}
	if info, err := os.Stat(bundle); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	again, stderr, code := doctor(t, "--bundle", bundle)
	if code != 1 || stderr != "" || again != live {
		t.Errorf("from the bundle, exit code %d %s\n%s\nlive\n%s", code, stderr, again, live)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".braid*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func untar(t *testing.T, file string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		text, readErr := io.ReadAll(archive)
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}

func TestDoctorAsksLittleWithoutABundle(t *testing.T) {
	p := &patient{pages: []string{wellPage}}
	doctor(t, "--server", admit(t, p))
	if want := []string{"/metrics", "/metrics", "/-/healthy", "/-/ready", "/api/v1/query"}; !slices.Equal(p.asked, want) {
		t.Errorf("asked %q", p.asked)
	}
}

// What cannot be read has an exit code of its own, so that a script does not take it for a sick braid.
func TestDoctorThatCannotRead(t *testing.T) {
	dir := t.TempDir()
	well := admit(t, &patient{pages: []string{wellPage}})
	empty := filepath.Join(dir, "empty.tar.gz")
	if err := (&caseFile{Format: bundleFormat}).write(empty); err != nil {
		t.Fatal(err)
	}
	future := filepath.Join(dir, "future.tar.gz")
	if err := (&caseFile{Format: 7}).write(future); err != nil {
		t.Fatal(err)
	}
	text := writeFile(t, filepath.Join(dir, "text"), "no archive")
	const hint = "\nSee 'doctor -h' for help and examples\n"
	for _, c := range []struct{ args, stderr string }{
		{"--server http://127.0.0.1:1", "error: cannot reach the aggregator at http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused (--server or $BRAID_SERVER says where it is)\n"},
		{"--server " + admit(t, &patient{silent: []string{"/metrics"}}), "Error from server (Forbidden): not for you\n"},
		{"--server " + admit(t, &patient{pages: []string{"up 1\n"}}), "error: cannot find braid: its /metrics has no braid_build_info\n"},
		{"--server " + well + " --write-bundle " + dir + "/none/b.tar.gz", "error: cannot write the support bundle: open "},
		{"--server " + well + " --write-bundle " + dir + "/b.tar.gz --config " + dir + "/none", "error: cannot use --config: open "},
		{"--server " + well + " --write-bundle " + dir + "/b.tar.gz --config " + writeFile(t, dir+"/bad.yaml", "a: b: hunter2"), "error: " + dir + "/bad.yaml: cannot show the configuration: it is no YAML (braid check says where)\n"},
		{"--bundle " + text, "error: cannot read the support bundle " + text + ": gzip: invalid header\n"},
		{"--bundle " + dir + "/none", "error: cannot read the support bundle: open "},
		{"--bundle " + empty, "error: cannot read the support bundle " + empty + ": it lacks metrics-1.txt or metrics-2.txt\n"},
		{"--bundle " + future, "error: cannot read the support bundle " + future + ": it has format 7, and this braid reads format 1\n"},
		{"x", "error: expected 'doctor' without arguments" + hint},
		{"-o yaml", "error: -o \"yaml\" is unknown: text or json" + hint},
		{"--color pink", "error: --color \"pink\" is unknown: auto, always or never" + hint},
		{"--interval 1ms", "error: --interval must be 1s at least" + hint},
		{"--bundle a --server b", "error: --bundle goes neither with --server nor with --write-bundle" + hint},
		{"--config a", "error: --config is for --write-bundle" + hint},
		{"--zzz", "Error: unknown flag: --zzz\nSee 'doctor --help' for usage.\n"},
	} {
		stdout, stderr, code := doctor(t, strings.Fields(c.args)...)
		if stdout != "" || !strings.HasPrefix(stderr, c.stderr) || code != 2 {
			t.Errorf("%s: exit code %d\n%s%s\nwant\n%s", c.args, code, stdout, stderr, c.stderr)
		}
	}
}
