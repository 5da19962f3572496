package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func results() []Result {
	one := func(system, work string, cpu time.Duration) Result {
		return Result{System: system, Work: work, Codec: "gzip", Unit: "GiB", CPU: cpu, Units: 0.25, RssAnon: 3 << 20, VmHWM: 5 << 20, Wire: 1 << 20}
	}
	return []Result{
		one("braid", "logs", time.Second), one("otelcol", "logs", 20*time.Second), one("otelcol", "logs-unparsed", 15*time.Second),
		one("braid", "logs", 3*time.Second), one("otelcol", "logs", 22*time.Second), one("otelcol", "logs-unparsed", 15*time.Second),
		one("braid", "logs", 2*time.Second), one("otelcol", "logs", 50*time.Second), one("otelcol", "logs-unparsed", 16*time.Second),
	}
}

func TestRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "logs.json")
	if err := Save(path, Rows(results())); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(text, &rows); err != nil || len(rows) != 3 {
		t.Fatalf("%v: %s", err, text)
	}
	braid := rows[0]
	if runs := braid["cpu_s_per_unit"].([]any); braid["system"] != "braid" || len(runs) != 3 || runs[1] != 12.0 || braid["median"] != 8.0 {
		t.Errorf("%v", braid)
	}
	if braid["rss_anon_mib"] != 3.0 || braid["vm_hwm_mib"] != 5.0 || braid["work"] != "logs" || braid["codec"] != "gzip" {
		t.Errorf("%v", braid)
	}
	if m := median([]float64{4, 1, 2, 3}); m != 2.5 {
		t.Errorf("the median of four is %v", m)
	}
}

func TestTableHasTheRatioToBraidOnTheSameWork(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, Rows(results())); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{"BRAID x", "1.0 ", "11.0 ", "7.5 "} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d lacks %q: %s", i, want, lines[i])
		}
	}
}
