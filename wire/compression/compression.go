package compression

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/braidhq/braid/telemetry"
)

// ErrTooLarge says that the content of a body is larger than the caller's limit.
var ErrTooLarge = errors.New("content is larger than the limit")

// ErrUnknownEncoding says that a Content-Encoding is none of ours.
var ErrUnknownEncoding = errors.New("unknown content encoding")

// Decompress returns the content of src, at most limit bytes of it, else [ErrTooLarge]. The result is written over
// dst's memory as far as it suffices and never aliases src. After an error the result is nil.
func Decompress(dst, src []byte, c telemetry.Compression, limit int) ([]byte, error) {
	var err error
	switch c {
	case telemetry.Identity:
		if len(src) > limit {
			return nil, fmt.Errorf("cannot take %d bytes: %w of %d", len(src), ErrTooLarge, limit)
		}
		return append(dst[:0], src...), nil
	case telemetry.Gzip:
		dst, err = gunzip(dst[:0], src, limit)
	case telemetry.Zstd:
		dst, err = unzstd(dst[:0], src, limit)
	case telemetry.Snappy:
		dst, err = unsnappy(dst[:0], src, limit)
	default:
		return nil, fmt.Errorf("cannot decompress %s: %w", c, ErrUnknownEncoding)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot decompress %s body of %d bytes (limit %d): %w", c, len(src), limit, err)
	}
	return dst, nil
}

// Compress returns src compressed, each format at its fastest. The result is written over dst's memory as far as it
// suffices and never aliases src.
func Compress(dst, src []byte, c telemetry.Compression) []byte {
	switch c {
	case telemetry.Identity:
		return append(dst[:0], src...)
	case telemetry.Gzip:
		return gzipBytes(dst[:0], src)
	case telemetry.Zstd:
		return zstdBytes(dst[:0], src)
	case telemetry.Snappy:
		return snappyBytes(dst[:0], src)
	}
	panic("BUG: cannot compress " + c.String())
}

// ParseEncoding reads a Content-Encoding header of one encoding, in any case; empty is [telemetry.Identity].
// Other and combined encodings are [ErrUnknownEncoding], which HTTP answers with 415.
func ParseEncoding(contentEncoding string) (telemetry.Compression, error) {
	switch strings.ToLower(strings.TrimSpace(contentEncoding)) {
	case "", "identity":
		return telemetry.Identity, nil
	case "gzip", "x-gzip":
		return telemetry.Gzip, nil
	case "zstd":
		return telemetry.Zstd, nil
	case "snappy":
		return telemetry.Snappy, nil
	}
	return 0, fmt.Errorf("%w %q", ErrUnknownEncoding, contentEncoding)
}

// readAll appends what r yields to dst, at most limit bytes, and never asks for more memory than twice what has come
// or the limit. Its error is r's, or ErrTooLarge as soon as one byte more has come.
func readAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) || len(dst) == limit {
			if len(dst) >= limit {
				return dst, expectEnd(r)
			}
			dst = grow(dst, min(limit, max(2*cap(dst), minBuffer)))
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

const minBuffer = 4096

// grow returns dst with room for size bytes in all.
func grow(dst []byte, size int) []byte {
	if cap(dst) >= size {
		return dst
	}
	return append(make([]byte, 0, size), dst...)
}

// expectEnd returns nil if r has ended, ErrTooLarge if it yields another byte.
func expectEnd(r io.Reader) error {
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n > 0:
		return ErrTooLarge
	case err == io.EOF:
		return nil
	default:
		return err
	}
}
