package logstest

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/telemetry"
)

// SplitAt is where runtimes split a line.
const SplitAt = 16384

// A Writer writes one attempt of a container. It is for one goroutine.
type Writer struct {
	node *Node
	c    tail.Container
	dir  string
	live string // path of N.log
	file *logFile
	open [3]openLine // by stream
	buf  []byte
	// rotated are the rotated files from the oldest to the newest. The names do not tell: a suffix is a wall clock's
	// second, and one that has become free is used again.
	rotated []string
}

// logFile is an open file with what a reader will know it by.
type logFile struct {
	f    *os.File
	size int64
	id   telemetry.FileID
}

// openLine is what was written of a line without its end.
type openLine struct {
	open     bool
	unixNano int64
	body     []byte
}

// Start creates the container's directory and its live file.
func (n *Node) Start(c tail.Container) (*Writer, error) {
	w := &Writer{node: n, c: c, dir: filepath.Join(n.root, c.Dir, c.Container)}
	w.live = filepath.Join(w.dir, strconv.Itoa(c.Restart)+".log")
	if err := os.MkdirAll(w.dir, 0o750); err != nil {
		return nil, err
	}
	return w, w.create()
}

func (w *Writer) create() error {
	f, err := os.OpenFile(w.live, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	w.file = &logFile{f: f}
	return nil
}

// Container returns whose log this is.
func (w *Writer) Container() tail.Container { return w.c }

// Size returns the bytes in the live file.
func (w *Writer) Size() int64 { return w.file.size }

// Line writes one line as a runtime does: split into pieces if it is long.
func (w *Writer) Line(s telemetry.Stream, body []byte) error {
	for len(body) > SplitAt {
		if err := w.Piece(s, body[:SplitAt], false); err != nil {
			return err
		}
		body = body[SplitAt:]
	}
	return w.Piece(s, body, true)
}

// Piece writes one physical line, the last of its line or not.
func (w *Writer) Piece(s telemetry.Stream, body []byte, last bool) error {
	return w.pieceTo(w.file, s, body, last)
}

func (w *Writer) pieceTo(file *logFile, s telemetry.Stream, body []byte, last bool) error {
	tag := " P "
	if last {
		tag = " F "
	}
	t := w.node.tick()
	w.buf = t.UTC().AppendFormat(w.buf[:0], "2006-01-02T15:04:05.999999999Z07:00")
	w.buf = append(append(append(w.buf, ' '), s.String()...), tag...)
	w.buf = append(append(w.buf, body...), '\n')
	if _, err := file.f.Write(w.buf); err != nil {
		return err
	}
	if file.size == 0 {
		file.id = tail.FileID(w.c, w.buf[:len(w.buf)-1])
	}
	file.size += int64(len(w.buf))
	o := &w.open[s]
	if !o.open {
		*o = openLine{open: true, unixNano: t.UnixNano(), body: o.body[:0]}
	}
	o.body = append(o.body, body...)
	if last {
		w.node.record(Line{w.c, file.id, s, file.size, o.unixNano, string(o.body)})
		o.open = false
	}
	return nil
}

// Open reports whether a stream has a line without its end.
func (w *Writer) Open(s telemetry.Stream) bool { return w.open[s].open }

// Rotate does what the kubelet does when a file has become too large. late, if not nil, is called when the file has
// its new name and the runtime has not opened the new one: what it writes goes to the renamed file.
func (w *Writer) Rotate(late func() error) error {
	// 1: the oldest go, so that with the live one and the one to come there are not too many.
	for len(w.rotated) > w.node.maxFiles-2 {
		if err := os.Remove(w.rotated[0]); err != nil {
			return err
		}
		w.rotated = w.rotated[1:]
	}
	// 2: the newest plain one is compressed.
	for i, path := range w.rotated {
		if !strings.HasSuffix(path, ".gz") {
			if err := compress(path); err != nil {
				return err
			}
			w.rotated[i] = path + ".gz"
		}
	}
	// 3: the live one gets a suffix, in local time; twice in one second the kubelet would overwrite, so we do not.
	t := w.node.tick()
	name := w.live + "." + t.Format("20060102-150405")
	for exists(name) || exists(name+".gz") {
		t = t.Add(1e9)
		name = w.live + "." + t.Format("20060102-150405")
	}
	if err := os.Rename(w.live, name); err != nil {
		return err
	}
	w.rotated = append(w.rotated, name)
	if late != nil {
		if err := late(); err != nil {
			return err
		}
	}
	// 4 and 5: the runtime opens a new one and closes the old one.
	old := w.file
	if err := w.create(); err != nil {
		return err
	}
	return old.f.Close()
}

// RotateSwapping is Rotate with the runtime caught between its two streams: the new file has a line of one stream
// already when the other stream still writes into the old one. between is called between the two lines.
func (w *Writer) RotateSwapping(first, second telemetry.Stream, body []byte, between func()) error {
	old := w.file
	dup, err := os.OpenFile(w.live, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer dup.Close()
	if err := w.Rotate(nil); err != nil {
		return err
	}
	if err := w.Line(first, body); err != nil {
		return err
	}
	between()
	old.f = dup
	return w.pieceTo(old, second, body, true)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func compress(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write(data); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp, path+".gz"); err != nil {
		return err
	}
	return os.Remove(path)
}

// Restart ends the attempt and begins the next one. Of the attempts before this one the files are deleted. A line left
// open has no end: it is in no ledger.
func (w *Writer) Restart() (*Writer, error) {
	if err := w.Close(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		stem, _, _ := strings.Cut(e.Name(), ".log")
		if n, err := strconv.Atoi(stem); err == nil && n < w.c.Restart {
			if err := os.Remove(filepath.Join(w.dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	c := w.c
	c.Restart++
	return w.node.Start(c)
}

// Close ends the writer. The files stay.
func (w *Writer) Close() error {
	if err := w.file.f.Close(); err != nil {
		return fmt.Errorf("cannot close %s: %w", w.live, err)
	}
	return nil
}
