package format

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/braidhq/braid/telemetry"
)

const stamp = "2026-11-20T23:46:18.1Z stdout "

func scanAll(t *testing.T, limit int, files ...string) []Record {
	t.Helper()
	s := NewScanner(CRI, limit)
	var out []Record
	var r Record
	for _, f := range files {
		s.Reset(iotest.HalfReader(strings.NewReader(f)))
		for s.Next(&r) {
			r.Body = bytes.Clone(r.Body)
			out = append(out, r)
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
	}
	for s.Rest(&r) {
		r.Body = bytes.Clone(r.Body)
		out = append(out, r)
	}
	return out
}

func TestScannerOverFiles(t *testing.T) {
	got := scanAll(t, 0, stamp+"F one\n"+stamp+"P two ", stamp+"F more\n"+stamp+"P last")
	// The first file's torn tail is dropped by Reset; a whole partial line goes on.
	if len(got) < 2 || string(got[0].Body) != "one" {
		t.Fatal(render(got))
	}
	got = scanAll(t, 0, stamp+"P two \n", stamp+"F more\n"+stamp+"P last\n")
	if len(got) != 2 || string(got[0].Body) != "two more" || got[0].Start.File == got[0].End.File ||
		string(got[1].Body) != "last" || got[1].Flags != telemetry.Partial {
		t.Fatal(render(got))
	}
}

// Physical lines far longer than any buffer cost bounded memory and keep their beginning.
func TestScannerLongLines(t *testing.T) {
	for _, size := range []int{scanChunk - 1, scanChunk, scanChunk + 1, 1 << 20, 3 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			long := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			in := stamp + "F a\n" + stamp + "F " + long + "\n" + stamp + "F b\n"
			got := scanAll(t, 1<<20, in)
			if len(got) != 3 || string(got[0].Body) != "a" || string(got[2].Body) != "b" {
				t.Fatalf("%d records", len(got))
			}
			want := long[:min(size, 1<<20)]
			if string(got[1].Body) != want || (got[1].Flags == telemetry.Truncated) != (size > 1<<20) {
				t.Fatalf("body of %d bytes, flags %v", len(got[1].Body), got[1].Flags)
			}
			if got[2].End.Offset != int64(len(in)) {
				t.Fatalf("ends at %d of %d", got[2].End.Offset, len(in))
			}
		})
	}
}
