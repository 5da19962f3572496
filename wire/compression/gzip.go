package compression

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/gzip"
)

var gzipReaders = sync.Pool{New: func() any { return &gzipReader{} }}

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &gzipWriter{gz: w}
}}

type gzipReader struct {
	src bytes.Reader
	gz  gzip.Reader
}

type gzipWriter struct {
	gz  *gzip.Writer
	dst bytes.Buffer
}

// gunzip reads all members of src, as RFC 1952 section 2.2 wants it.
func gunzip(dst, src []byte, limit int) ([]byte, error) {
	r := gzipReaders.Get().(*gzipReader)
	defer func() {
		r.src.Reset(nil)
		gzipReaders.Put(r)
	}()
	r.src.Reset(src)
	if err := r.gz.Reset(&r.src); err != nil {
		return dst, err
	}
	return readAll(grow(dst, gzipHint(src, limit)), &r.gz, limit)
}

// gzipHint guesses the size of the content from the last member's ISIZE. It is a claim modulo 2^32 about one member
// only, so it sizes the first buffer, up to 64 times the body, and decides nothing.
func gzipHint(src []byte, limit int) int {
	if len(src) < 18 {
		return 0
	}
	claim := int(binary.LittleEndian.Uint32(src[len(src)-4:]))
	return min(claim, limit, 64*len(src))
}

func gzipBytes(dst, src []byte) []byte {
	w := gzipWriters.Get().(*gzipWriter)
	defer gzipWriters.Put(w)
	w.dst = *bytes.NewBuffer(dst)
	w.gz.Reset(&w.dst)
	if _, err := w.gz.Write(src); err != nil {
		panic("BUG: cannot write to memory: " + err.Error())
	}
	if err := w.gz.Close(); err != nil {
		panic("BUG: cannot write to memory: " + err.Error())
	}
	dst = w.dst.Bytes()
	w.dst = bytes.Buffer{}
	return dst
}
