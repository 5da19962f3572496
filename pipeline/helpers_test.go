package pipeline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a queue in q of fsys and closes it with the test.
func open(t testing.TB, fsys disk.FS, change ...func(*Options)) *Queue {
	t.Helper()
	q, err := tryOpen(fsys, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func tryOpen(fsys disk.FS, change ...func(*Options)) (*Queue, error) {
	o := Options{Dir: "q", FS: fsys}
	for _, c := range change {
		c(&o)
	}
	return Open(o)
}

func segments(n int64) func(*Options) { return func(o *Options) { o.SegmentBytes = n } }

func lanes(n int64) func(*Options) {
	return func(o *Options) {
		o.MaxBytes = map[telemetry.Signal]int64{telemetry.Logs: n, telemetry.Spans: n, telemetry.Samples: n}
	}
}

func clock(now *time.Time) func(*Options) {
	return func(o *Options) { o.Now = func() time.Time { return *now } }
}

func frame(s telemetry.Signal, body string) telemetry.Frame {
	return telemetry.Frame{Signal: s, Encoding: telemetry.OTLP, Tenant: "t", Body: []byte(body)}
}

func add(t testing.TB, q *Queue, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		if err := q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, b)}); err != nil {
			t.Fatalf("cannot append %.20q: %v", b, err)
		}
	}
}

func cursor(t testing.TB, q *Queue, name string, o CursorOptions) *Cursor {
	t.Helper()
	c, err := q.Cursor(telemetry.Logs, name, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// drain returns everything that is there to read, copied.
func drain(t testing.TB, c *Cursor) (frames []telemetry.Frame) {
	t.Helper()
	for {
		got, err := c.poll(0, maxNextFrames)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			return frames
		}
		for _, f := range got {
			f.Body = append([]byte(nil), f.Body...)
			frames = append(frames, f)
		}
	}
}

func bodies(frames []telemetry.Frame) string {
	var b []string
	for _, f := range frames {
		b = append(b, string(f.Body))
	}
	return strings.Join(b, " ")
}

func commit(t testing.TB, c *Cursor, state string) {
	t.Helper()
	if err := c.Commit([]byte(state)); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, fsys disk.FS, name string) []byte {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, fsys disk.FS, name string, b []byte) {
	t.Helper()
	f, err := fsys.Create(name)
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), fsys.SyncDir(filepath.Dir(name)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func files(t testing.TB, fsys disk.FS, dir, suffix string) (names []string) {
	t.Helper()
	all, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasSuffix(name, suffix) {
			names = append(names, filepath.Join(dir, name))
		}
	}
	return names
}

// failing answers err to op of names that end in suffix, as long as it is armed.
func failing(armed *bool, op, suffix string, err error) func(string, string) error {
	return func(o, name string) error {
		if *armed && o == op && strings.HasSuffix(name, suffix) {
			return err
		}
		return nil
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("the error is %v, not %v", got, want)
	}
}

func numbered(from, to int) (b []string) {
	for i := from; i < to; i++ {
		b = append(b, fmt.Sprintf("body-%04d", i))
	}
	return b
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// sealHeader gives a segment's header a checksum that is right.
func sealHeader(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}
