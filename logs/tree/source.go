package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/telemetry"
)

// A source is one file of an attempt, held open if it is plain: it stays the same file whatever becomes of its name.
// A compressed one is opened when it is read; if it is gone by then, the kubelet has deleted the oldest.
type source struct {
	tail.File
	plain *os.File
	id    telemetry.FileID // zero while there is no whole line in it
}

// errMoved says that a file was renamed after it was listed.
var errMoved = errors.New("the file was rotated while it was opened")

// openFiles opens the files of an attempt that want chooses. A rotation between listing and opening shifts the names, so
// the live file must still begin as it did when it was listed; else the container is listed again.
func (c *Container) openFiles(a *Attempt, want func(*source) bool) ([]source, error) {
	files := a.Files
	for tries := 0; ; tries++ {
		sources, err := openAll(files)
		if err == nil {
			return keepWanted(sources, want), nil
		}
		closeAll(sources)
		if tries == 5 || (!errors.Is(err, errMoved) && !errors.Is(err, os.ErrNotExist)) {
			return nil, fmt.Errorf("cannot open the log of %s/%s: %w", c.Pod, c.Name, err)
		}
		now, err := c.relist()
		if err != nil {
			return nil, err
		}
		files = nil
		if again := now.Attempt(a.Restart); again != nil {
			files = again.Files
		}
	}
}

func openAll(files []tail.File) ([]source, error) {
	var sources []source
	for _, f := range files {
		s := source{File: f}
		err := s.open()
		if f.Kind == tail.Compressed && errors.Is(err, os.ErrNotExist) {
			continue
		}
		sources = append(sources, s)
		if err != nil {
			return sources, err
		}
	}
	return sources, nil
}

// open takes hold of a plain file, and identifies it.
func (s *source) open() (err error) {
	if s.Kind != tail.Compressed {
		if s.plain, err = os.Open(s.Path); err != nil {
			return err
		}
		if s.UnixNano != 0 && s.firstTime() != s.UnixNano {
			return errMoved
		}
	}
	return s.identify()
}

// identify sets the file's id, if there is a whole line by now.
func (s *source) identify() error {
	r, err := s.reader()
	if err != nil {
		return err
	}
	defer r.Close()
	s.id, _, err = tail.ReadFileID(s.Container, r)
	return err
}

// reader returns the file's bytes from the beginning. Closing it does not close a plain file.
func (s *source) reader() (io.ReadCloser, error) {
	if s.plain == nil {
		return tail.Open(s.File)
	}
	return io.NopCloser(&offsetReader{file: s.plain}), nil
}

// offsetReader reads a file that others read too.
type offsetReader struct {
	file   *os.File
	offset int64
}

func (r *offsetReader) Read(p []byte) (int, error) {
	n, err := r.file.ReadAt(p, r.offset)
	r.offset += int64(n)
	return n, err
}

// firstTime returns the time of the first line, 0 if it cannot be read.
func (s *source) firstTime() int64 {
	head := make([]byte, 64<<10)
	n, err := s.plain.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	head = head[:n]
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		head = head[:i]
	}
	f := format.CRI
	if s.ContainerID != "" { // only docker trees tell it
		f = format.Docker
	}
	var p format.Piece
	if !f.Split(head, &p) {
		return 0
	}
	return p.UnixNano
}

func (s *source) close() {
	if s.plain != nil {
		s.plain.Close()
		s.plain = nil
	}
}

func closeAll(sources []source) {
	for i := range sources {
		sources[i].close()
	}
}

// keepWanted closes and drops the others.
func keepWanted(sources []source, want func(*source) bool) []source {
	kept := sources[:0]
	for _, s := range sources {
		if want(&s) {
			kept = append(kept, s)
		} else {
			s.close()
		}
	}
	return kept
}
