package correlate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

func verdictLog(t testing.TB, fsys disk.FS, segment int) *Verdicts {
	t.Helper()
	v, err := OpenVerdicts(VerdictsOptions{Dir: "v", FS: fsys, Wait: 10 * time.Second, Late: time.Minute, SegmentRecords: segment})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func verdict(n int) Verdict {
	return Verdict{Trace: traceID(n), ReceivedUnixNano: int64(time.Duration(n) * time.Second), Rules: uint64(n)}
}

func verdicts(from, to int) (all []Verdict) {
	for n := from; n < to; n++ {
		all = append(all, verdict(n))
	}
	return all
}

// logBytes are all files of a verdict log, in order.
func logBytes(t testing.TB, fsys disk.FS) []byte {
	t.Helper()
	var all bytes.Buffer
	names, err := fsys.ReadDir("v")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := (&Verdicts{fs: fsys}).read(filepath.Join("v", name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %d\n", name, len(b))
		all.Write(b)
	}
	return all.Bytes()
}

// wantVerdicts wants exactly those of from to to, of the first fifty.
func wantVerdicts(t testing.TB, v *Verdicts, from, to int) {
	t.Helper()
	for n := range 50 {
		r := verdict(n)
		if got := v.Kept(r.Trace, r.ReceivedUnixNano); got != (n >= from && n < to) {
			t.Errorf("trace %d is kept: %v", n, got)
		}
	}
	if n := v.Length(); n != uint64(to) {
		t.Errorf("the log's length is %d, not %d", n, to)
	}
}

func TestWhatAVerdictIsAbout(t *testing.T) {
	v := verdictLog(t, disk.NewMem(), 0)
	id := traceID(1)
	const second = int64(time.Second)
	if _, err := v.Append([]Verdict{{id, 100 * second, 1}, {id, 300 * second, 2}, {traceID(2), 300 * second, 1}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at         int64
		span, line bool
	}{
		{40*second - 1, false, false}, {40 * second, false, true}, {100*second - 1, false, true}, {100 * second, true, true},
		{170 * second, true, true}, {170*second + 1, false, false}, {240*second - 1, false, false}, {240 * second, false, true},
		{300 * second, true, true}, {370 * second, true, true}, {370*second + 1, false, false},
	} {
		if span, line := v.Kept(id, c.at), v.KeptLine(id, c.at); span != c.span || line != c.line {
			t.Errorf("at %s a span is kept: %v, a line: %v", time.Duration(c.at), span, line)
		}
	}
	if v.Kept(traceID(3), 300*second) || v.Kept(telemetry.TraceID{}, 300*second) {
		t.Error("a trace without a verdict is kept")
	}
}

func TestTheVerdictLogIsReadBack(t *testing.T) {
	fsys := disk.NewMem()
	v := verdictLog(t, fsys, 10)
	for _, to := range []int{1, 9, 10, 27, 40} {
		if _, err := v.Append(verdicts(int(v.Length()), to)); err != nil {
			t.Fatal(err)
		}
	}
	wantVerdicts(t, v, 0, 40)
	v.Close()
	want := logBytes(t, fsys)
	v = verdictLog(t, fsys, 10)
	wantVerdicts(t, v, 0, 40)
	for _, n := range []int{40, 33, 30, 12, 0} {
		if err := v.Truncate(uint64(n)); err != nil {
			t.Fatal(err)
		}
		wantVerdicts(t, v, 0, n)
		again := verdictLog(t, fsys.CrashClone(uint64(n)), 10)
		wantVerdicts(t, again, 0, n)
	}
	if _, err := v.Append(verdicts(0, 40)); err != nil {
		t.Fatal(err)
	}
	if got := logBytes(t, fsys); !bytes.Equal(got, want) {
		t.Errorf("written again it has %d other bytes", len(got))
	}
}

// Whatever fails and wherever it crashes, what was appended is there, and nothing else below its length.
func TestTheVerdictLogOverFailuresAndCrashes(t *testing.T) {
	clean := disk.NewMem()
	v := verdictLog(t, clean, 7)
	if _, err := v.Append(verdicts(0, 100)); err != nil {
		t.Fatal(err)
	}
	want := logBytes(t, clean)
	for seed := range uint64(80) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		fsys := disk.NewMem()
		for done := 0; done < 100; {
			fsys.FailOn(nil)
			v := verdictLog(t, fsys, 7)
			if v.Length() < uint64(done) {
				t.Fatalf("seed %d: %d verdicts are left of %d", seed, v.Length(), done)
			}
			if err := v.Truncate(uint64(done)); err != nil {
				t.Fatal(err)
			}
			var left *disk.Mem
			safe, countdown := done, 1+rnd.IntN(40)
			fsys.FailOn(func(op, _ string) error {
				if countdown--; countdown == 0 {
					safe, left = done, fsys.CrashClone(rnd.Uint64())
				}
				if op != "read" && rnd.IntN(12) == 0 {
					return syscall.EIO
				}
				return nil
			})
			for left == nil && done < 100 {
				next := min(100, done+1+rnd.IntN(9))
				n, err := v.Append(verdicts(done, next))
				if err != nil && !errors.Is(err, syscall.EIO) || err == nil && n != next-done {
					t.Fatal(n, err)
				}
				done += n
			}
			fsys.FailOn(nil)
			v.Close()
			if left != nil {
				fsys, done = left, safe
			}
		}
		if got := logBytes(t, fsys); !bytes.Equal(got, want) {
			t.Errorf("seed %d: the log has other bytes", seed)
		}
	}
}

func TestDamageIsPassedByAndCounted(t *testing.T) {
	fsys := disk.NewMem()
	v := verdictLog(t, fsys, 10)
	if _, err := v.Append(verdicts(0, 25)); err != nil {
		t.Fatal(err)
	}
	v.Close()
	damage := func(name string, offset int) {
		b, err := v.read(name)
		if err != nil {
			t.Fatal(err)
		}
		b[offset] ^= 1
		if err := v.replace(name, b); err != nil {
			t.Fatal(err)
		}
	}
	damage("v/0000000000000000.verdicts", verdictHeader+3*verdictRecord+5)
	damage("v/000000000000000a.verdicts", 20)
	damage("v/0000000000000014.verdicts", verdictHeader+4*verdictRecord)
	v = verdictLog(t, fsys, 10)
	for n := range 25 {
		if r := verdict(n); v.Kept(r.Trace, r.ReceivedUnixNano) != (n != 3 && n != 24) {
			t.Errorf("trace %d is wrong", n)
		}
	}
	if err := v.Truncate(25); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Append(verdicts(25, 40)); err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(v.self.damaged); n != 3 {
		t.Errorf("%v are counted", n)
	}
	v.Close()
	v = verdictLog(t, fsys, 10)
	if r := verdict(39); v.Length() != 40 || !v.Kept(r.Trace, r.ReceivedUnixNano) || v.Kept(verdict(24).Trace, verdict(24).ReceivedUnixNano) {
		t.Errorf("the log's length is %d", v.Length())
	}
	v.Close()
	b, err := v.read("v/0000000000000000.verdicts")
	if err != nil {
		t.Fatal(err)
	}
	b[8] = 2
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
	if err := v.replace("v/0000000000000000.verdicts", b); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenVerdicts(VerdictsOptions{Dir: "v", FS: fsys}); !errors.Is(err, disk.ErrVersion) {
		t.Errorf("a newer version: %v", err)
	}
}

func TestTrimGoesFileByFile(t *testing.T) {
	fsys := disk.NewMem()
	v := verdictLog(t, fsys, 10)
	if _, err := v.Append(verdicts(0, 45)); err != nil {
		t.Fatal(err)
	}
	life := 70 * time.Second
	for _, c := range []struct {
		before time.Duration
		from   int
	}{{9*time.Second + life, 0}, {10*time.Second + life, 10}, {39 * time.Second, 10}, {time.Hour, 40}} {
		if err := v.Trim(int64(c.before)); err != nil {
			t.Fatal(err)
		}
		wantVerdicts(t, v, c.from, 45)
		wantVerdicts(t, verdictLog(t, fsys.KillClone(), 10), c.from, 45)
	}
}

func TestReadersWhileItGrows(t *testing.T) {
	v, err := OpenVerdicts(VerdictsOptions{Dir: "v", FS: disk.NewMem(), SegmentRecords: 64, Registerer: prometheus.NewPedanticRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for v.Length() < 2000 {
				if n := int(v.Length()); n > 0 {
					// A reader that was away for long may find that its trace was trimmed.
					if r := verdict(n - 1); !v.Kept(r.Trace, r.ReceivedUnixNano) && int(v.Length())-n < 1000 {
						t.Errorf("trace %d is not there", n-1)
					}
				}
			}
		})
	}
	readers.Go(func() {
		for v.Length() < 2000 {
			if err := v.Trim(int64(v.Length()-min(v.Length(), 1000)) * int64(time.Second)); err != nil {
				t.Error(err)
			}
		}
	})
	for n := 0; n < 2000; n += 10 {
		if _, err := v.Append(verdicts(n, n+10)); err != nil {
			t.Fatal(err)
		}
		if err := v.Trim(int64(n-500) * int64(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	readers.Wait()
	v.Close()
}

func TestLookupDoesNotAllocate(t *testing.T) {
	v := verdictLog(t, disk.NewMem(), 100)
	if _, err := v.Append(verdicts(0, 1000)); err != nil {
		t.Fatal(err)
	}
	n := 0
	if allocs := testing.AllocsPerRun(1000, func() {
		r := verdict(n % 1500)
		n++
		v.Kept(r.Trace, r.ReceivedUnixNano)
		v.KeptLine(r.Trace, r.ReceivedUnixNano)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkLookup asks for spans of a log of 200,000 verdicts, one in ten of them kept; ns/op is per span.
func BenchmarkLookup(b *testing.B) {
	v, err := OpenVerdicts(VerdictsOptions{Dir: "v", FS: disk.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	const n = 200_000
	all := make([]Verdict, n)
	for i := range all {
		all[i] = Verdict{traceID(i * 10), int64(i) * int64(time.Millisecond), 1}
	}
	if _, err := v.Append(all); err != nil {
		b.Fatal(err)
	}
	ids := make([]telemetry.TraceID, 1<<16)
	rnd := rand.New(rand.NewPCG(1, 1))
	at := make([]int64, len(ids))
	for i := range ids {
		k := rnd.IntN(10 * n)
		ids[i], at[i] = traceID(k), int64(k/10)*int64(time.Millisecond)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		v.Kept(ids[i%len(ids)], at[i%len(ids)])
		i++
	}
}
