package tail

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

// A gzipSource reads a compressed file at growing offsets. What the caller did not consume it may read again; going
// back further starts over, which happens after a rewind only.
type gzipSource struct {
	file    *os.File
	z       *gzip.Reader
	window  []byte // decompressed and not known to be consumed
	at      int64  // offset of window[0]
	failure error  // what ended the stream, io.EOF if all is well
}

func (g *gzipSource) readAt(p []byte, off int64) (int, error) {
	if g.z == nil || off < g.at {
		if err := g.restart(); err != nil {
			return 0, err
		}
	}
	for g.failure == nil && off > g.at+int64(len(g.window)) {
		g.at += int64(len(g.window))
		g.window = g.window[:0]
		g.fill(int(min(off-g.at, 64<<10)))
	}
	if skip := off - g.at; skip > 0 {
		n := copy(g.window, g.window[min(skip, int64(len(g.window))):])
		g.window = g.window[:n]
		g.at = off
	}
	if more := len(p) - len(g.window); more > 0 {
		g.fill(more)
	}
	n := copy(p, g.window)
	if n < len(p) {
		return n, g.failure
	}
	return n, nil
}

func (g *gzipSource) restart() error {
	g.window, g.at, g.failure, g.z = g.window[:0], 0, nil, nil
	if _, err := g.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	z, err := gzip.NewReader(bufio.NewReader(g.file))
	if err != nil {
		return fmt.Errorf("cannot decompress %s: %w", g.file.Name(), err)
	}
	g.z = z
	return nil
}

// fill appends up to n decompressed bytes to the window.
func (g *gzipSource) fill(n int) {
	if g.failure != nil {
		return
	}
	have := len(g.window)
	if cap(g.window) < have+n {
		g.window = append(make([]byte, 0, have+n), g.window...)
	}
	for end := have + n; have < end; {
		m, err := g.z.Read(g.window[have:end])
		have += m
		g.window = g.window[:have]
		if errors.Is(err, io.EOF) {
			g.failure = io.EOF
			return
		}
		if err != nil {
			g.failure = fmt.Errorf("cannot decompress %s: %w", g.file.Name(), err)
			return
		}
	}
}

// uncompressedSize reads the size that a gzip file's trailer tells, modulo 4 GiB, which no log file reaches.
func uncompressedSize(f *os.File, size int64) int64 {
	var b [4]byte
	if size < 18 {
		return 0
	}
	if _, err := f.ReadAt(b[:], size-4); err != nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(b[:]))
}
