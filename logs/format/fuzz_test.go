package format

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// Whatever ParseTime takes, time.Parse takes, with the same result; what time.Parse renders, ParseTime takes.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-11-20T23:46:18.243493665Z", "2026-11-20T23:46:18Z", "2024-02-29T00:00:00.1+05:30",
		"1969-12-31T23:59:59.999999999-23:59", "2261-12-31T23:59:59Z", "2026-11-20T23:46:18.Z", "2026-02-29T00:00:00Z"} {
		f.Add([]byte(s), int64(0), 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, nanos int64, offset int) {
		if got, ok := ParseTime(b); ok {
			want, err := time.Parse(time.RFC3339Nano, string(b))
			if err != nil || want.UnixNano() != got {
				t.Fatalf("ParseTime(%q) = %d, time.Parse: %v %v", b, got, want.UnixNano(), err)
			}
		}
		at := time.Unix(0, nanos).In(time.FixedZone("", offset%(23*60)*60))
		if at.Year() <= 1678 || at.Year() >= 2261 {
			return
		}
		text := at.Format(time.RFC3339Nano)
		if got, ok := ParseTime([]byte(text)); !ok || got != nanos {
			t.Fatalf("ParseTime(%q) = %d %v, want %d", text, got, ok, nanos)
		}
	})
}

func TestParseTimeEveryDay(t *testing.T) {
	for day := time.Date(1679, 1, 1, 12, 30, 1, 5, time.UTC); day.Year() < 2261; day = day.AddDate(0, 0, 1) {
		if got, ok := ParseTime([]byte(day.Format(time.RFC3339Nano))); !ok || got != day.UnixNano() {
			t.Fatal(day, got, ok)
		}
	}
}

// Decoding is the same in any chunks, keeps every byte of short lines, and never exceeds the limit.
func checkDecoder(t *testing.T, f Format, input []byte, limit, chunk int) {
	limit, chunk = 1+limit&0xff, 1+chunk&0x1ff
	whole := decodeAll(f, limit, input, len(input)+1)
	parts := decodeAll(f, limit, input, chunk)
	if a, b := render(whole), render(parts); a != b {
		t.Fatalf("whole:\n%s\nin chunks of %d:\n%s", a, chunk, b)
	}
	end := [3]int64{}
	for i, r := range whole {
		if len(r.Body) > limit {
			t.Fatalf("record %d has %d bytes, limit %d", i, len(r.Body), limit)
		}
		if r.Start.Offset >= r.End.Offset || r.End.Offset > int64(len(input)) || r.End.Offset <= end[r.Stream] {
			t.Fatalf("record %d at %d-%d, the one before ended at %d", i, r.Start.Offset, r.End.Offset, end[r.Stream])
		}
		end[r.Stream] = r.End.Offset
	}
}

func FuzzCRI(f *testing.F) {
	f.Add([]byte("2026-11-20T23:46:18.1Z stdout P a\n2026-11-20T23:46:18.1Z stderr F b\n2026-11-20T23:46:18.1Z stdout F c\n"), 9, 40)
	f.Add([]byte("2026-11-20T23:46:18.1Z stdout P aaaaaaaaaaaa\n2026-11-20T23:46:18.1Z stdout P b\nx\n2026-11-20T23:46:18.1Z stdout F:z c"), 3, 7)
	f.Fuzz(func(t *testing.T, b []byte, limit, chunk int) { checkDecoder(t, CRI, b, limit, chunk) })
}

func FuzzDocker(f *testing.F) {
	f.Add([]byte(`{"log":"a\u00e9\ud83d\ude00 ","stream":"stdout","time":"2026-11-20T23:46:18.1Z"}`+"\n"+
		`{"log":"b\n","stream":"stdout","time":"2026-11-20T23:46:18.1Z"}`+"\n"), 99, 40)
	f.Add([]byte(`{"stream":"stderr","x":[{"y":"]"}],"log":"\"\\\/\b\f\n\r\t\n","time":"2026-11-20T23:46:18Z"}`+"\n"), 99, 7)
	f.Fuzz(func(t *testing.T, b []byte, limit, chunk int) {
		checkDecoder(t, Docker, b, limit, chunk)
		checkDockerJSON(t, b)
	})
}

// A line that encoding/json takes as docker's object gives the same text.
func checkDockerJSON(t *testing.T, b []byte) {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	var p Piece
	if !Docker.Split(bytes.Clone(line), &p) {
		return
	}
	var want struct {
		Log    string    `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	// Fields that differ in case only are taken for the same by encoding/json, and invalid UTF-8 is replaced by it.
	lower := strings.ToLower(string(line))
	if d.Decode(&want) != nil || strings.Count(lower, `"log"`) != 1 || strings.Count(lower, `"stream"`) != 1 ||
		strings.Count(lower, `"time"`) != 1 || !json.Valid(line) || strings.Contains(lower, `\u00`) {
		return
	}
	body := string(p.Body)
	if !p.Partial {
		body += "\n"
	}
	if strings.ToValidUTF8(body, "\ufffd") != strings.ToValidUTF8(want.Log, "\ufffd") && !strings.Contains(want.Log, "\ufffd") {
		t.Fatalf("%q: log %q, want %q", line, body, want.Log)
	}
	if p.Stream.String() != want.Stream || p.UnixNano != want.Time.UnixNano() {
		t.Fatalf("%q: %v, want %v", line, p, want)
	}
}

// Docker's own encoder is the truth for any text.
func TestDockerAnyText(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		text := make([]rune, rng.IntN(20))
		for i := range text {
			text[i] = rune(rng.IntN([]int{0x20, 0x80, 0x800, 0xd800, 0x10ffff}[rng.IntN(5)]))
		}
		log := strings.ToValidUTF8(string(text), "?") + "\n"
		line, err := json.Marshal(map[string]string{"log": log, "stream": "stderr", "time": "2026-11-20T23:46:18.5Z"})
		if err != nil {
			t.Fatal(err)
		}
		var p Piece
		if !Docker.Split(line, &p) || p.Partial || string(p.Body)+"\n" != log || p.Stream != telemetry.Stderr {
			t.Fatalf("%q: got %q", log, p.Body)
		}
	}
}
