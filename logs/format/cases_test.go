package format

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite the expected records of testdata/cases")

// A case file has a comment, then sections "-- name argument --". The first is the input: its name is the format, its
// argument the limit of a body. Lines of input end as they stand; a last line that ends in "⏎" has no newline. The
// section "records" is what comes out.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, rest, _ := strings.Cut(string(data), "-- records --\n")
			_, input, _ := strings.Cut(head, "-- ")
			args, input, _ := strings.Cut(input, " --\n")
			var name string
			limit := 0
			if n, err := fmt.Sscan(args, &name, &limit); n == 0 {
				t.Fatal(err)
			}
			f, err := Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			input = strings.TrimSuffix(input, "⏎\n")
			for _, chunk := range []int{1 << 20, 200, 90} {
				got := render(decodeAll(f, limit, []byte(input), chunk))
				if *update && chunk == 1<<20 {
					if err := os.WriteFile(file, []byte(head+"-- records --\n"+got), 0o644); err != nil {
						t.Fatal(err)
					}
					rest = got
				}
				if got != rest {
					t.Errorf("chunks of %d: got\n%s\nwant\n%s", chunk, got, rest)
				}
			}
		})
	}
}

// decodeAll decodes input in chunks that grow until they hold a line.
func decodeAll(f Format, limit int, input []byte, chunk int) []Record {
	var spares Spares
	d := NewDecoder(f, limit, &spares)
	var out []Record
	var r Record
	keep := func() {
		r.Body = bytes.Clone(r.Body)
		out = append(out, r)
	}
	at := Mark{}
	for size := chunk; ; {
		rest := input[at.Offset:]
		buf := bytes.Clone(rest[:min(size, len(rest))])
		d.Feed(buf, at, nil)
		for d.Next(&r) {
			keep()
		}
		for i := range buf {
			buf[i] = 'X' // what is still open must not lie here
		}
		if d.Consumed() == at {
			if size >= len(rest) {
				break
			}
			size *= 2
			continue
		}
		at, size = d.Consumed(), chunk
	}
	d.Feed(bytes.Clone(input[at.Offset:]), at, nil)
	if d.Tail(&r) {
		keep()
	}
	for s := telemetry.Stdout; s <= telemetry.Stderr; s++ {
		if d.Cut(s, &r) {
			keep()
		}
	}
	return out
}

func render(records []Record) string {
	var b strings.Builder
	for _, r := range records {
		stream := r.Stream.String()
		if stream == "" {
			stream = "-"
		}
		at := "-"
		if r.UnixNano != 0 {
			at = time.Unix(0, r.UnixNano).UTC().Format(time.RFC3339Nano)
		}
		fmt.Fprintf(&b, "%d-%d %s %s", r.Start.Offset, r.End.Offset, stream, at)
		if r.Flags&telemetry.Truncated != 0 {
			b.WriteString(" truncated")
		}
		if r.Flags&telemetry.Partial != 0 {
			b.WriteString(" partial")
		}
		if r.Malformed {
			b.WriteString(" malformed")
		}
		fmt.Fprintf(&b, " %q\n", r.Body)
	}
	return b.String()
}
