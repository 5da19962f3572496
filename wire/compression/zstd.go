package compression

import (
	"bytes"
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest window that a frame may have if it is larger than the limit of its content. RFC 8878 section
// 3.1.1.1.2 recommends that every decoder takes 8 MiB and every encoder stays below.
const maxWindow = 8 << 20

var zstdDecoders = sync.Pool{New: func() any { return &zstdDecoder{zstd: newZstdDecoder()} }}

var zstdStreams = sync.Pool{New: func() any { return newZstdDecoder(zstd.WithDecoderMaxWindow(maxWindow)) }}

func newZstdDecoder(options ...zstd.DOption) *zstd.Decoder {
	options = append(options,
		zstd.WithDecoderConcurrency(1), // no goroutines, one block decoder
		zstd.WithDecoderLowmem(true))
	d, err := zstd.NewReader(nil, options...)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return d
}

var zstdEncoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(1<<20),
		zstd.WithZeroFrames(true), // empty content is a frame as well, as other decoders expect
	)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return e
}}

type zstdDecoder struct {
	zstd  *zstd.Decoder
	limit int // that zstd is set to
}

// unzstd decodes at once, so that the content is its own window. zstd then refuses windows larger than the limit, though
// small content may well come with one, so those are decoded as a stream, with a window next to the content.
//
// WithDecodeAllCapLimit, which looks made for the limit, is not used: it reports other errors than it should.
func unzstd(dst, src []byte, limit int) ([]byte, error) {
	var head zstd.Header
	if err := head.Decode(src); err == nil && head.HasFCS && !head.Skippable {
		if head.FrameContentSize > uint64(limit) {
			return dst, ErrTooLarge
		}
		dst = grow(dst, int(head.FrameContentSize))
	}
	d := zstdDecoders.Get().(*zstdDecoder)
	defer zstdDecoders.Put(d)
	if d.limit != limit {
		// A limit below the smallest window would refuse every frame.
		most := zstd.WithDecoderMaxMemory(uint64(max(limit, zstd.MinWindowSize)))
		if err := d.zstd.ResetWithOptions(nil, most); err != nil {
			return dst, err
		}
		d.limit = limit
	}
	out, err := d.zstd.DecodeAll(src, dst)
	switch {
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return unzstdStream(dst, src, limit)
	case errors.Is(err, zstd.ErrDecoderSizeExceeded) || len(out) > limit:
		return dst, ErrTooLarge
	}
	return out, err
}

func unzstdStream(dst, src []byte, limit int) ([]byte, error) {
	d := zstdStreams.Get().(*zstd.Decoder)
	defer zstdStreams.Put(d)
	if err := d.Reset(bytes.NewReader(src)); err != nil {
		return dst, err
	}
	dst, err := readAll(dst[:0], d, limit)
	if resetErr := d.Reset(nil); err == nil {
		err = resetErr
	}
	return dst, err
}

func zstdBytes(dst, src []byte) []byte {
	e := zstdEncoders.Get().(*zstd.Encoder)
	defer zstdEncoders.Put(e)
	return e.EncodeAll(src, dst)
}
