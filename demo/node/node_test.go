package node

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// clock is a fake one that goes on by step at every look.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	step time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.step)
	return c.now
}

func create(t *testing.T, o Options) *Container {
	t.Helper()
	o.Root = t.TempDir()
	c, err := Create(o, "shop", "cart-7d9", "0c1f", "cart")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if want := filepath.Join(o.Root, "shop_cart-7d9_0c1f", "cart", "0.log"); c.Path() != want {
		t.Fatalf("path %s, want %s", c.Path(), want)
	}
	return c
}

func TestPieces(t *testing.T) {
	a := func(n int) string { return strings.Repeat("a", n) }
	for _, test := range []struct {
		name, in string
		want     []string // tag and length of payload
	}{
		{"two lines", "one\nthree\n", []string{"F 3", "F 5"}},
		{"an empty line", "\n", []string{"F 0"}},
		{"CR before LF", "one\r\n", []string{"F 3"}},
		{"one below the limit", a(16383) + "\n", []string{"F 16383"}},
		{"the limit", a(16384) + "\n", []string{"F 16384"}},
		{"one above", a(16385) + "\n", []string{"P 16384", "F 1"}},
		{"twice the limit", a(32768) + "\nx\n", []string{"P 16384", "F 16384", "F 1"}},
		{"many pieces", a(100000) + "\n", []string{"P 16384", "P 16384", "P 16384", "P 16384", "P 16384", "P 16384", "F 1696"}},
		{"no newline at the end", "one\ntwo", []string{"F 3", "P 3"}},
		{"long, no newline at the end", a(20000), []string{"P 16384", "P 3616"}},
		{"nothing", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.in), iotest.HalfReader(strings.NewReader(test.in)), iotest.DataErrReader(strings.NewReader(test.in))} {
				c := create(t, Options{Now: time.Now})
				if err := c.Copy("stdout", r); err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, l := range criLines(t, c.Path()) {
					got = append(got, fmt.Sprintf("%s %d", l.tag, len(l.text)))
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("got %v, want %v", got, test.want)
				}
			}
		})
	}
}

func TestStampsDropTrailingZeros(t *testing.T) {
	clk := &clock{now: time.Date(2026, 11, 20, 23, 46, 18, 0, time.UTC), step: 250 * time.Millisecond}
	c := create(t, Options{Now: clk.Now})
	if err := c.Copy("stderr", strings.NewReader("a\nb\nc\nd\n")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(c.Path())
	if err != nil {
		t.Fatal(err)
	}
	want := "2026-11-20T23:46:18.25Z stderr F a\n2026-11-20T23:46:18.5Z stderr F b\n2026-11-20T23:46:18.75Z stderr F c\n2026-11-20T23:46:19Z stderr F d\n"
	if string(raw) != want {
		t.Errorf("got\n%swant\n%s", raw, want)
	}
}

func TestRotationLeavesOnePlainFileAndPacksTheRest(t *testing.T) {
	clk := &clock{now: time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC), step: time.Second}
	c := create(t, Options{MaxBytes: 10, MaxFiles: 5, Now: clk.Now})
	var states []string
	for i := range 7 {
		if err := c.Copy("stdout", strings.NewReader(fmt.Sprintf("line number %d\n", i))); err != nil {
			t.Fatal(err)
		}
		if done, err := c.Rotate(); err != nil || !done {
			t.Fatalf("rotation %d: %v, %v", i, done, err)
		}
		states = append(states, kinds(t, c))
	}
	want := []string{"plain live", "gz plain live", "gz gz plain live", "gz gz gz plain live", "gz gz gz plain live", "gz gz gz plain live", "gz gz gz plain live"}
	if !slices.Equal(states, want) {
		t.Errorf("got  %q\nwant %q", states, want)
	}
	var texts []string
	for _, l := range allLines(t, c) {
		texts = append(texts, l.text)
	}
	if want := []string{"line number 3", "line number 4", "line number 5", "line number 6"}; !slices.Equal(texts, want) {
		t.Errorf("after rotation: %q, want %q", texts, want)
	}
	if done, err := c.Rotate(); err != nil || done {
		t.Errorf("rotated an empty file: %v, %v", done, err)
	}
}

func TestNothingIsLostOrMixedWhileItRotates(t *testing.T) {
	c := create(t, Options{MaxBytes: 4 << 10, MaxFiles: 1000, Gap: time.Millisecond, Now: (&clock{now: time.Now(), step: time.Second}).Now})
	var wg sync.WaitGroup
	turned := make(chan struct{}) // one for each rotation; stdout's writer waits for six of them
	for _, stream := range []string{"stdout", "stderr"} {
		r, w := io.Pipe()
		wg.Go(func() {
			if err := c.Copy(stream, r); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for i := range 300 {
				fmt.Fprintf(w, "%s %d %s\n", stream, i, strings.Repeat("x", 40000*(i%50/49)))
				if stream == "stdout" && i%50 == 49 {
					<-turned
				}
			}
			w.Close()
		})
	}
	stop := make(chan struct{})
	var kubelet sync.WaitGroup
	kubelet.Go(func() {
		for {
			done, err := c.Rotate()
			if err != nil {
				t.Error(err)
				return
			}
			rotated, again := turned, time.After(time.Millisecond)
			if done {
				again = nil // every rotation is announced
			} else {
				rotated = nil
			}
			select {
			case <-stop:
				return
			case rotated <- struct{}{}:
			case <-again:
			}
		}
	})
	wg.Wait()
	close(stop)
	kubelet.Wait()
	if n := len(files(t, c)); n < 6 {
		t.Errorf("only %d files", n)
	}
	next := map[string]int{}
	part := map[string]string{}
	for _, l := range allLines(t, c) {
		part[l.stream] += l.text
		if l.tag == "P" {
			continue
		}
		var n int
		if _, err := fmt.Sscanf(part[l.stream], l.stream+" %d ", &n); err != nil || n != next[l.stream] {
			t.Fatalf("%s: got line %.40q, want number %d", l.stream, part[l.stream], next[l.stream])
		}
		next[l.stream], part[l.stream] = n+1, ""
	}
	if next["stdout"] != 300 || next["stderr"] != 300 {
		t.Errorf("found %v lines, want 300 each", next)
	}
}

type criLine struct{ stream, tag, text string }

var criFormat = regexp.MustCompile(`(?s)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z (stdout|stderr) ([FP]) (.*)$`)

func parse(t *testing.T, raw []byte) []criLine {
	t.Helper()
	var lines []criLine
	for line := range bytes.Lines(raw) {
		m := criFormat.FindSubmatch(bytes.TrimSuffix(line, []byte("\n")))
		if m == nil {
			t.Fatalf("no CRI line: %.80q", line)
		}
		lines = append(lines, criLine{string(m[2]), string(m[3]), string(m[4])})
	}
	return lines
}

func criLines(t *testing.T, path string) []criLine {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, raw)
}

// files returns a container's files, oldest first, the live one last.
func files(t *testing.T, c *Container) []string {
	t.Helper()
	names, err := c.rotated()
	if err != nil {
		t.Fatal(err)
	}
	return append(names, c.Path())
}

func kinds(t *testing.T, c *Container) string {
	t.Helper()
	var out []string
	for _, name := range files(t, c) {
		switch {
		case name == c.Path():
			out = append(out, "live")
		case strings.HasSuffix(name, ".gz"):
			out = append(out, "gz")
		case regexp.MustCompile(`0\.log\.\d{8}-\d{6}$`).MatchString(name):
			out = append(out, "plain")
		default:
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

func allLines(t *testing.T, c *Container) []criLine {
	t.Helper()
	var all []criLine
	for _, name := range files(t, c) {
		if !strings.HasSuffix(name, ".gz") {
			all = append(all, criLines(t, name)...)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parse(t, raw)...)
		f.Close()
	}
	return all
}
