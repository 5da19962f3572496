package tail

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"

	"github.com/braidhq/braid/logs/format"
)

// Open opens a listed file for reading from its beginning, decompressed.
func Open(f File) (io.ReadCloser, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	if f.Kind != Compressed {
		return file, nil
	}
	z, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot decompress %s: %w", f.Path, err)
	}
	return &gzipFile{z, file}, nil
}

type gzipFile struct {
	*gzip.Reader
	file *os.File
}

func (g *gzipFile) Close() error { return errors.Join(g.Reader.Close(), g.file.Close()) }

// peekTime sets the time of f's first line. A file that is gone or has no whole line yet has none.
func peekTime(f *File) error {
	r, err := Open(*f)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	head, err := readHead(r)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", f.Path, err)
	}
	f.UnixNano = firstTime(f.format, head)
	return nil
}

// peekBytes bounds what is read of a file to see how it begins: more than any line that a runtime splits.
const peekBytes = 64 << 10

func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, 4<<10)
	n := 0
	for {
		m, err := r.Read(head[n:])
		n += m
		if errors.Is(err, io.EOF) || n == peekBytes {
			return head[:n], nil
		}
		if err != nil {
			return nil, err
		}
		if indexNewline(head[n-m:n]) >= 0 {
			return head[:n], nil
		}
		if n == len(head) {
			head = append(head, make([]byte, peekBytes-n)...)
		}
	}
}

// firstTime returns the time of the first line of head, of its beginning if head does not hold all of it.
func firstTime(f format.Format, head []byte) int64 {
	if i := indexNewline(head); i >= 0 {
		head = head[:i]
	}
	var p format.Piece
	if !f.Split(head, &p) {
		return 0
	}
	return p.UnixNano
}
