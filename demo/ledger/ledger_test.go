package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func readAll(t *testing.T, path string) []Entry {
	t.Helper()
	var got []Entry
	if err := Read(path, func(e Entry) { got = append(got, e) }); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWriteThenRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cart.ndjson")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w.Line("stdout", "aa", func(seq uint64) []byte { return fmt.Appendf(nil, "line %d", seq) })
	w.Line("stderr", "", func(seq uint64) []byte { return fmt.Appendf(nil, "line %d", seq) })
	w.Span("t1", "s1", "GET /")
	body := []byte("# HELP a b\n# TYPE a counter\na_total{x=\"1 {\"} 3 # {trace_id=\"ab\"} 1 2\na_total{x=\"2\"} 4\nup 1\n# EOF\n")
	w.Metrics(body)
	w.Metrics(body)
	w.Metrics([]byte("up 1\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, path)
	if len(got) != 6 {
		t.Fatalf("got %d entries: %+v", len(got), got)
	}
	if got[0].Seq != 1 || got[0].Sum != SumOf([]byte("line 1")) || got[0].Bytes != 6 || got[0].TraceID != "aa" || got[0].Stream != "stdout" {
		t.Errorf("first line: %+v", got[0])
	}
	if got[1].Seq != 2 || got[1].Sum != SumOf([]byte("line 2")) || got[1].Stream != "stderr" {
		t.Errorf("second line: %+v", got[1])
	}
	if got[2].TraceID != "t1" || got[2].SpanID != "s1" || got[2].Name != "GET /" {
		t.Errorf("span: %+v", got[2])
	}
	for i, want := range []map[string]int{{"a_total": 2, "up": 1}, {"a_total": 2, "up": 1}, {"up": 1}} {
		e := got[3+i]
		if fmt.Sprint(e.Names) != fmt.Sprint(want) {
			t.Errorf("body %d: got names %v, want %v", i, e.Names, want)
		}
	}
	if got[3].Samples != 3 || got[5].Samples != 1 {
		t.Errorf("samples: %d, %d", got[3].Samples, got[5].Samples)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte(`"names"`)); n != 2 {
		t.Errorf("names stand %d times in the file, want 2: they are left out while they do not change", n)
	}
}

func TestConcurrentLinesAreNumberedWithoutGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				w.Line("stdout", "", func(seq uint64) []byte { return fmt.Appendf(nil, "%d", seq) })
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for i, e := range readAll(t, path) {
		if e.Seq != uint64(i+1) || e.Sum != SumOf(fmt.Appendf(nil, "%d", i+1)) {
			t.Fatalf("entry %d: %+v", i, e)
		}
	}
}

func TestUnfinishedLedgersAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w.Line("stdout", "", func(uint64) []byte { return []byte("a") })
	w.Span("t", "s", "n")
	w.Flush()
	if err := Read(path, func(Entry) {}); !errors.Is(err, ErrUnfinished) {
		t.Errorf("no end: got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, without, _ := bytes.Cut(whole, []byte("\n"))
	if err := os.WriteFile(path, without, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Read(path, func(Entry) {}); !errors.Is(err, ErrUnfinished) {
		t.Errorf("an entry missing: got %v", err)
	}
}

func TestLedgersAreNeverOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path); err == nil {
		t.Error("Create took an existing file")
	}
}
