package pipeline

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// filled returns a closed queue of a few segments, and what is in it.
func filled(t testing.TB, rnd *rand.Rand) (fsys *disk.Mem, sent []string) {
	t.Helper()
	fsys = disk.NewMem()
	q := open(t, fsys, segments(900))
	for i := range 25 {
		body := fmt.Sprintf("%03d%s", i, strings.Repeat("y", rnd.IntN(200)))
		if i%7 == 0 {
			body += marker + marker[:2] // looks like the beginning of a frame
		}
		sent = append(sent, body)
	}
	add(t, q, sent...)
	cursor(t, q, "c", CursorOptions{})
	q.Close()
	return fsys, sent
}

func TestADamagedByteCostsOneRecordAtMost(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		fsys, sent := filled(t, rnd)
		names := files(t, fsys, "q/logs", segmentSuffix)
		n := rnd.IntN(len(names))
		b := readFile(t, fsys, names[n])
		at := rnd.IntN(len(b))
		b[at] ^= byte(1 + rnd.IntN(255))
		writeFile(t, fsys, names[n], b)

		r := prometheus.NewPedanticRegistry()
		q := open(t, fsys, segments(900), func(o *Options) { o.Registerer = r })
		c := cursor(t, q, "c", CursorOptions{})
		got := drain(t, c)
		commit(t, c, "")
		missing := missingOf(sent, got)
		last := n == len(names)-1
		if len(missing) > 1 || (at < segmentHeader && len(missing) > 0) {
			t.Fatalf("seed %d: byte %d of segment %d of %d cost %q", seed, at, n, len(names), missing)
		}
		corrupt := metric(t, r, "braid_pipeline_dropped_frames_total", "c", "corrupt")
		if tail := last && len(missing) > 0 && missing[0] == sent[len(sent)-1]; int(corrupt) != len(missing) && !tail {
			t.Fatalf("seed %d: %v corrupt records are counted, %d are missing", seed, corrupt, len(missing))
		}
		if out := metric(t, r, "braid_pipeline_out_frames_total", "c", ""); int(out) != len(got) {
			t.Fatalf("seed %d: %v frames are counted as out of %d", seed, out, len(got))
		}
		// Life goes on behind it, and no position that was given out comes back.
		add(t, q, "after")
		after := drain(t, c)
		if bodies(after) != "after" {
			t.Fatalf("seed %d: then got %q", seed, bodies(after))
		}
		if p := after[0].Position; len(got) > 0 && p <= got[len(got)-1].Position {
			t.Fatalf("seed %d: position %d again", seed, p)
		}
		q.Close()
	}
}

// missingOf returns what of sent is not in got, which must be in order.
func missingOf(sent []string, got []telemetry.Frame) (missing []string) {
	i := 0
	for _, body := range sent {
		if i < len(got) && string(got[i].Body) == body {
			i++
			continue
		}
		missing = append(missing, body)
	}
	if i != len(got) {
		return append(missing, "and there is something that nobody sent")
	}
	return missing
}

func TestPositionsOfADamagedTailAreNotGivenOutAgain(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys)
	add(t, q, "a", "b")
	seen := drain(t, cursor(t, q, "c", CursorOptions{}))[1].Position
	q.Close()
	name := files(t, fsys, "q/logs", segmentSuffix)[0]
	b := readFile(t, fsys, name)
	b[len(b)-1]++
	writeFile(t, fsys, name, b)
	q = open(t, fsys)
	add(t, q, "new")
	got := drain(t, cursor(t, q, "c", CursorOptions{}))
	if bodies(got) != "a new" || got[1].Position <= seen {
		t.Fatalf("got %q at %d, after %d was seen", bodies(got), got[1].Position, seen)
	}
}

func TestATruncatedTailIsNoCorruption(t *testing.T) {
	for cut := 1; cut < frameHead+20; cut += 3 {
		fsys := disk.NewMem()
		q := open(t, fsys)
		add(t, q, "a", strings.Repeat("b", 20))
		q.Close()
		name := files(t, fsys, "q/logs", segmentSuffix)[0]
		b := readFile(t, fsys, name)
		writeFile(t, fsys, name, b[:len(b)-cut])
		r := prometheus.NewPedanticRegistry()
		q = open(t, fsys, func(o *Options) { o.Registerer = r })
		add(t, q, "c")
		c := cursor(t, q, "c", CursorOptions{})
		if got := bodies(drain(t, c)); got != "a c" {
			t.Fatalf("cut by %d: got %q", cut, got)
		}
		q.Close()
		q = open(t, fsys, func(o *Options) { o.Registerer = r })
		if got := bodies(drain(t, cursor(t, q, "d", CursorOptions{}))); got != "a c" {
			t.Fatalf("cut by %d: later got %q", cut, got)
		}
		if n := metric(t, r, "braid_pipeline_dropped_frames_total", "d", "corrupt"); n != 0 {
			t.Fatalf("cut by %d: %v corrupt records", cut, n)
		}
		q.Close()
	}
}

func TestALostHeaderLosesNoFrame(t *testing.T) {
	fsys, sent := filled(t, rand.New(rand.NewPCG(1, 1)))
	for _, name := range files(t, fsys, "q/logs", segmentSuffix) {
		b := readFile(t, fsys, name)
		clear(b[:segmentHeader])
		writeFile(t, fsys, name, b)
	}
	q := open(t, fsys, segments(900))
	if missing := missingOf(sent, drain(t, cursor(t, q, "new", CursorOptions{}))); len(missing) > 0 {
		t.Fatalf("missing: %q", missing)
	}
}

func TestAnUnknownVersionRefusesToStart(t *testing.T) {
	for _, what := range []string{"version", "feature"} {
		fsys := disk.NewMem()
		q := open(t, fsys)
		add(t, q, "a")
		q.Close()
		name := files(t, fsys, "q/logs", segmentSuffix)[0]
		b := readFile(t, fsys, name)
		if what == "version" {
			b[8] = 2
		} else {
			b[15] = 1
		}
		writeFile(t, fsys, name, sealHeader(b))
		_, err := tryOpen(fsys)
		wantErr(t, err, disk.ErrVersion)
		if !strings.Contains(err.Error(), "start the newer braid") || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not say what to do: %v", err)
		}
		// The lock is free again.
		_, err = tryOpen(fsys)
		wantErr(t, err, disk.ErrVersion)
	}
}

func TestADamagedCursorBeginsAnew(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys)
	add(t, q, "a", "b")
	c := cursor(t, q, "c", CursorOptions{})
	drain(t, c)
	commit(t, c, "state")
	q.Close()
	b := readFile(t, fsys, "q/logs/cursors/c.cursor")
	b[len(b)-1]++
	writeFile(t, fsys, "q/logs/cursors/c.cursor", b)
	q = open(t, fsys)
	c = cursor(t, q, "c", CursorOptions{})
	if got, state := bodies(drain(t, c)), string(c.State()); got != "a b" || state != "" {
		t.Errorf("got %q with state %q", got, state)
	}
}

func TestSegmentsOfAnotherQueueAreRefused(t *testing.T) {
	fsys, other := disk.NewMem(), disk.NewMem()
	q := open(t, fsys)
	add(t, q, "a")
	q.Close()
	q = open(t, other)
	q.Close()
	name := files(t, fsys, "q/logs", segmentSuffix)[0]
	writeFile(t, other, name, readFile(t, fsys, name))
	if _, err := tryOpen(other); err == nil || !strings.Contains(err.Error(), "another queue") {
		t.Errorf("got %v", err)
	}
}
