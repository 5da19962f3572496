package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
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
	w.Line("stdout", "aa", true, func(seq uint64) []byte { return fmt.Appendf(nil, "line %d", seq) })
	w.Line("stderr", "", false, func(seq uint64) []byte { return fmt.Appendf(nil, "line %d", seq) })
	start := time.Date(2026, 11, 20, 12, 0, 0, 123456789, time.UTC)
	w.Span(EndedSpan{TraceID: "t1", SpanID: "s1", Name: "GET /", Start: start, End: start.Add(time.Second), Error: true})
	w.Sent([]string{"s1", "s2"})
	body := []byte("# HELP a b # {trace_id=\"no\"} 1\n# TYPE a counter\na_total{x=\"1 {\"} 3 # {trace_id=\"ab\"} 1 2\na_total{x=\"2\"} 4\nup 1\n# EOF\n")
	w.Metrics(body)
	w.Metrics(bytes.ReplaceAll(body, []byte("} 4"), []byte("} 4 # {trace_id=\"aa\"} 2 3")))
	w.Metrics([]byte("up 1\n"))
	w.Metrics(body)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, path)
	if len(got) != 8 {
		t.Fatalf("got %d entries: %+v", len(got), got)
	}
	if got[0].Seq != 1 || got[0].Sum != SumOf([]byte("line 1")) || got[0].Bytes != 6 || got[0].TraceID != "aa" || got[0].Stream != "stdout" || !got[0].Error {
		t.Errorf("first line: %+v", got[0])
	}
	if got[1].Seq != 2 || got[1].Sum != SumOf([]byte("line 2")) || got[1].Stream != "stderr" || got[1].Error {
		t.Errorf("second line: %+v", got[1])
	}
	if got[2].TraceID != "t1" || got[2].SpanID != "s1" || got[2].Name != "GET /" || !got[2].Error {
		t.Errorf("span: %+v", got[2])
	}
	if !got[2].Start.Equal(start) || !got[2].Time.Equal(start.Add(time.Second)) {
		t.Errorf("span: from %s to %s", got[2].Start, got[2].Time)
	}
	if got[3].Kind != Sent || !slices.Equal(got[3].Spans, []string{"s1", "s2"}) {
		t.Errorf("export: %+v", got[3])
	}
	both := map[string]int{"a_total": 2, "up": 1}
	for i, want := range []struct {
		names  map[string]int
		traces []string
	}{{both, []string{"ab"}}, {both, []string{"aa"}}, {map[string]int{"up": 1}, nil}, {both, []string{"ab"}}} {
		e := got[4+i]
		if !maps.Equal(e.Names, want.names) || !slices.Equal(e.Traces, want.traces) {
			t.Errorf("body %d: got names %v, traces %v, want %v", i, e.Names, e.Traces, want)
		}
	}
	if got[4].Samples != 3 || got[6].Samples != 1 {
		t.Errorf("samples: %d, %d", got[4].Samples, got[6].Samples)
	}
	for i, e := range got {
		if i != 2 && time.Since(e.Time).Abs() > time.Hour {
			t.Errorf("entry %d was made at %s", i, e.Time)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte(`"names"`)); n != 3 {
		t.Errorf("names stand %d times in the file, want 3: they are left out while they do not change", n)
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
				w.Line("stdout", "", false, func(seq uint64) []byte { return fmt.Appendf(nil, "%d", seq) })
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
	w.Line("stdout", "", false, func(uint64) []byte { return []byte("a") })
	w.Span(EndedSpan{TraceID: "t", SpanID: "s", Name: "n"})
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
