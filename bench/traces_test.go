package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/report"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

func TestTheFloorOfSpansKeepsAll(t *testing.T) {
	results := t.TempDir()
	args := []string{"-bench", "traces", "-works", "spans-red", "-systems", "floor", "-runs", "1", "-spans", "20000", "-port", "19420", "-peers", peers, "-results", results}
	if err := run(context.Background(), args); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(results, "traces.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []report.Row
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].System != "floor" || rows[0].Work != "spans-red" || rows[0].Median <= 0 {
		t.Errorf("rows: %s", text)
	}
}

func TestWhatTheFloorHasLostIsSeen(t *testing.T) {
	spans := input.NewSpans(seed, time.Now())
	var file []byte
	for range 3 {
		body := compression.Compress(nil, spans.Next(), telemetry.Snappy)
		file = append(binary.LittleEndian.AppendUint32(file, uint32(len(body))), body...)
	}
	path := filepath.Join(t.TempDir(), "kept")
	for cut, whole := range map[int]bool{0: true, 1: false, 5000: false} {
		if err := os.WriteFile(path, file[:len(file)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := countKept(path); (err == nil && n == spans.Made()) != whole {
			t.Errorf("%d bytes short: %d spans of %d, %v", cut, n, spans.Made(), err)
		}
	}
}
