package input

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/braidhq/braid/bench/tally"
	"github.com/braidhq/braid/telemetry"
)

const seed = 1

// readLines reads what was written in the plainest way, and returns how many lines of each sort there are.
func readLines(t *testing.T, root string) (truth tally.Truth, sorts map[string]int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "*", "app", "0.log"))
	if err != nil {
		t.Fatal(err)
	}
	sorts = map[string]int{"files": len(files)}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		uid := strings.Split(filepath.Base(filepath.Dir(filepath.Dir(file))), "_")[2]
		var l telemetry.Log
		for line := range strings.Lines(string(text)) {
			f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
			at, err := time.Parse(time.RFC3339Nano, f[0])
			if err != nil {
				t.Fatal(err)
			}
			if l.Body == nil {
				l = telemetry.Log{UnixNano: at.UnixNano(), Stream: map[string]telemetry.Stream{"stdout": telemetry.Stdout, "stderr": telemetry.Stderr}[f[1]]}
			}
			l.Body = append(l.Body, f[3]...)
			sorts["all"]++
			switch {
			case f[2] == "P":
				sorts["pieces"]++
				continue
			case strings.HasPrefix(f[3], "{"):
				sorts["json"]++
			case f[1] == "stderr":
				sorts["stack"]++
			}
			truth.Add(tally.Line(uid, &l).Content)
			l.Body = nil
		}
	}
	return truth, sorts
}

func TestLinesAreWhatTheTruthSays(t *testing.T) {
	root := t.TempDir()
	lines, err := WriteLines(root, 5, 2<<20, seed)
	if err != nil {
		t.Fatal(err)
	}
	got, sorts := readLines(t, root)
	if got != lines.Truth || sorts["all"] != lines.Physical || sorts["files"] != 5 {
		t.Fatalf("read %+v %v, written %+v", got, sorts, lines)
	}
	for sort, share := range map[string]float64{"json": 0.6, "pieces": 0.08, "stack": 0.02} {
		if is := float64(sorts[sort]) / float64(sorts["all"]); is < share-0.02 || is > share+0.02 {
			t.Errorf("%.3f of the lines are %s, %.3f should be", is, sort, share)
		}
	}
	again := t.TempDir()
	if same, err := WriteLines(again, 5, 2<<20, seed); err != nil || same != lines {
		t.Errorf("the same seed gives %+v and then %+v", lines, same)
	}
	if other, err := WriteLines(t.TempDir(), 5, 2<<20, seed+1); err != nil || other.Truth == lines.Truth {
		t.Errorf("another seed gives the same")
	}
}

func TestPacedLinesAreWhatTheTruthSays(t *testing.T) {
	root := t.TempDir()
	lines, err := PaceLines(context.Background(), root, 4, 100, 300*time.Millisecond, seed)
	if err != nil {
		t.Fatal(err)
	}
	got, sorts := readLines(t, root)
	if got != lines.Truth || sorts["all"] != lines.Physical || sorts["all"] < 4*30 || sorts["all"] > 4*30+4*10 {
		t.Errorf("read %+v %v, written %+v", got, sorts, lines)
	}
}

// scrape reads a page as Prometheus does.
func scrape(t *testing.T, address, accept string) (truth tally.Truth) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	p, err := textparse.New(body, resp.Header.Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return truth
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var ls labels.Labels
		p.Labels(&ls)
		_, _, v := p.Series()
		series := tally.Series(labels.NewBuilder(ls).Set("instance", address).Set("job", "app").Labels())
		truth.Add(tally.Sample(series, time.Now().UnixMilli(), v).Content)
	}
}

func TestPagesAreWhatTheTruthSays(t *testing.T) {
	targets, err := ServeTargets(19350, 3, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer targets.Close()
	var got tally.Truth
	for _, accept := range []string{"text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"} {
		for _, address := range targets.Addresses {
			got.Merge(scrape(t, address, accept))
		}
	}
	truth, scrapes, err := targets.Stop()
	if err != nil || scrapes != 6 || got != truth || got.Records != 6*200 {
		t.Errorf("%d scrapes said %+v, the truth is %+v (%v)", scrapes, got, truth, err)
	}
	if resp, err := http.Get("http://" + targets.Addresses[0]); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the end: %v, %v", resp, err)
	}
}
