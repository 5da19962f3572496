package pipeline

import (
	"errors"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// lines makes a batch of file id with a line of stream at each position.
func lines(id byte, stamp int64, stream telemetry.Stream, positions ...int64) *telemetry.Batch {
	b := &telemetry.Batch{FileID: telemetry.FileID{id}, ReceivedUnixNano: stamp}
	for _, p := range positions {
		b.Logs = append(b.Logs, telemetry.Log{Stream: stream, Position: p})
	}
	return b
}

func wantLines(t *testing.T, m *Marks, b *telemetry.Batch, want ...int64) {
	t.Helper()
	all := len(b.Logs)
	repeats := m.Batch(b)
	got := []int64{}
	for _, l := range b.Logs {
		got = append(got, l.Position)
	}
	if len(got) != len(want) || repeats != all-len(want) {
		t.Fatalf("%v are new and %d repeats, want %v", got, repeats, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v are new, want %v", got, want)
		}
	}
}

func TestMarksOfFiles(t *testing.T) {
	m := NewMarks()
	wantLines(t, m, lines(1, 1, telemetry.Stdout, 10, 20, 30), 10, 20, 30)
	wantLines(t, m, lines(1, 2, telemetry.Stderr, 15), 15)
	wantLines(t, m, lines(1, 3, telemetry.Stdout, 20, 30, 40, 50), 40, 50)
	wantLines(t, m, lines(1, 3, telemetry.Stderr, 15, 25), 25)
	wantLines(t, m, lines(2, 3, telemetry.Stdout, 10, 10), 10)
	wantLines(t, m, lines(1, 4, telemetry.Stdout, 0, -5, 60), 0, -5, 60)
	wantLines(t, m, lines(1, 4, telemetry.Stdout, 60))
	wantLines(t, m, lines(0, 4, telemetry.Stdout, 10), 10)
	wantLines(t, m, lines(0, 4, telemetry.Stdout, 10), 10)
}

func TestMarksOfOrigins(t *testing.T) {
	m := NewMarks()
	f := func(origin byte, s telemetry.Signal, sequence uint64) bool {
		return m.Frame(&telemetry.Frame{Origin: telemetry.QueueID{origin}, Signal: s, Sequence: sequence, ReceivedUnixNano: 1})
	}
	for i, got := range []bool{
		f(1, telemetry.Logs, 0), !f(1, telemetry.Logs, 0), f(1, telemetry.Spans, 0), f(1, telemetry.Logs, 7),
		!f(1, telemetry.Logs, 6), !f(1, telemetry.Logs, 7), f(2, telemetry.Logs, 3), f(0, telemetry.Logs, 0), f(0, telemetry.Logs, 0),
	} {
		if !got {
			t.Errorf("frame %d is judged wrongly", i)
		}
	}
}

func TestMarksAreForgottenAfterAWeek(t *testing.T) {
	m := NewMarks()
	at := func(d time.Duration) int64 { return int64(d) }
	day := 24 * time.Hour
	judge := func(d time.Duration, id byte, want ...int64) {
		t.Helper()
		m.begin()
		m.Frame(&telemetry.Frame{ReceivedUnixNano: at(d)})
		wantLines(t, m, lines(id, at(d), telemetry.Stdout, 10), want...)
	}
	judge(day, 1, 10)
	judge(7*day, 1) // a repeat keeps the mark alive
	judge(13*day, 1)
	judge(13*day, 2, 10)
	judge(20*day+time.Hour, 3, 10)
	judge(20*day+2*time.Hour, 3)
	if len(m.files) != 1 {
		t.Errorf("%d marks are left", len(m.files))
	}
	judge(20*day+2*time.Hour, 1, 10)
}

// What a frame is judged must not depend on where rounds ended, failed or were interrupted by a restart.
func TestMarksAreAFunctionOfTheLane(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		plain, broken := NewMarks(), NewMarks()
		stamp := int64(0)
		for range 60 {
			var round []telemetry.Frame
			var batches []telemetry.Batch
			for range 1 + rnd.IntN(4) {
				stamp += rnd.Int64N(int64(30 * time.Hour))
				round = append(round, telemetry.Frame{
					Signal: telemetry.Logs, Origin: telemetry.QueueID{byte(rnd.IntN(3))}, Sequence: rnd.Uint64N(50), ReceivedUnixNano: stamp,
				})
				batches = append(batches, *lines(byte(rnd.IntN(4)), stamp, telemetry.Stream(rnd.IntN(3)), 1+rnd.Int64N(50), 1+rnd.Int64N(50)))
			}
			judge := func(m *Marks) (verdicts []int) {
				m.begin()
				for i := range round {
					b := batches[i]
					b.Logs = append([]telemetry.Log(nil), b.Logs...)
					v := m.Batch(&b)
					if m.Frame(&round[i]) {
						v += 100
					}
					verdicts = append(verdicts, v)
				}
				return verdicts
			}
			want := judge(plain)
			if rnd.IntN(2) == 0 {
				judge(broken)
				broken.rollback()
			}
			if rnd.IntN(3) == 0 {
				restored := NewMarks()
				if err := restored.Restore(broken.AppendSnapshot(nil)); err != nil {
					t.Fatal(err)
				}
				broken = restored
			}
			got := judge(broken)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("seed %d: judged %v, then %v", seed, want, got)
				}
			}
		}
		if plain.newest != broken.newest {
			t.Errorf("seed %d: newest is %d and %d", seed, plain.newest, broken.newest)
		}
	}
}

func TestMarksSnapshot(t *testing.T) {
	m := NewMarks()
	wantLines(t, m, lines(1, 9, telemetry.Stderr, 10, 20), 10, 20)
	m.Frame(&telemetry.Frame{Origin: telemetry.QueueID{3}, Signal: telemetry.Spans, Sequence: 4, ReceivedUnixNano: 11})
	snapshot := m.AppendSnapshot(nil)
	r := NewMarks()
	if err := r.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(r.files, m.files) || !maps.Equal(r.origins, m.origins) || r.newest != 11 {
		t.Errorf("restored %+v", r)
	}
	if err := r.Restore(nil); err != nil || len(r.files) != 0 {
		t.Errorf("an empty snapshot: %v", err)
	}
	for i := 1; i < len(snapshot); i++ {
		if err := r.Restore(snapshot[:i]); !errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("%d bytes of it: %v", i, err)
		}
	}
	snapshot[0] = 2
	if err := r.Restore(snapshot); !errors.Is(err, disk.ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
}
