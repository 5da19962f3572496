package compression_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

var all = []telemetry.Compression{telemetry.Identity, telemetry.Gzip, telemetry.Zstd, telemetry.Snappy}

// content returns n bytes, half of them random.
func content(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, n)
	for i := range b {
		if i%64 < 32 {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	var packed, unpacked []byte
	for _, c := range all {
		for _, n := range []int{0, 1, 100, 70_000, 3 << 20, 5} {
			want := content(n)
			packed = compression.Compress(packed, want, c)
			for _, limit := range []int{n, n + 1, 10 << 20} {
				var err error
				unpacked, err = compression.Decompress(unpacked, packed, c, limit)
				if err != nil || !bytes.Equal(unpacked, want) {
					t.Fatalf("%s, %d bytes, limit %d: got %d bytes, %v", c, n, limit, len(unpacked), err)
				}
			}
			if n == 0 {
				continue
			}
			if got, err := compression.Decompress(nil, packed, c, n-1); got != nil || !errors.Is(err, compression.ErrTooLarge) {
				t.Errorf("%s, %d bytes, limit %d: %d bytes, %v", c, n, n-1, len(got), err)
			}
		}
	}
}

// Others' decoders read what we write, and we read what others write.
func TestOthers(t *testing.T) {
	want := content(200_000)
	r, err := stdgzip.NewReader(bytes.NewReader(compression.Compress(nil, want, telemetry.Gzip)))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("compress/gzip reads %d bytes, %v", got.Len(), err)
	}
	if b, err := snappy.Decode(nil, compression.Compress(nil, want, telemetry.Snappy)); err != nil || !bytes.Equal(b, want) {
		t.Errorf("golang/snappy reads %d bytes, %v", len(b), err)
	}
	for c, body := range map[telemetry.Compression][]byte{
		telemetry.Snappy: snappy.Encode(nil, want),
		telemetry.Gzip:   append(gzipped(t, want[:70_000]), gzipped(t, want[70_000:])...), // two members
		telemetry.Zstd:   append(zstdStream(t, 8<<20, want[:70_000]), zstdStream(t, 8<<20, want[70_000:])...),
	} {
		if b, err := compression.Decompress(nil, body, c, len(want)); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s from another encoder: %d bytes, %v", c, len(b), err)
		}
	}
	// A window larger than most decoders take.
	if b, err := compression.Decompress(nil, zstdStream(t, 32<<20, make([]byte, 40<<20)), telemetry.Zstd, 40<<20); err != nil || len(b) != 40<<20 {
		t.Errorf("zstd with a window of 32 MiB: %d bytes, %v", len(b), err)
	}
	// Frames that claim their size each: the first claim is not the size of the whole.
	frames := append(compression.Compress(nil, want[:70_000], telemetry.Zstd), compression.Compress(nil, want[70_000:], telemetry.Zstd)...)
	if b, err := compression.Decompress(nil, frames, telemetry.Zstd, len(want)); err != nil || !bytes.Equal(b, want) {
		t.Errorf("two zstd frames: %d bytes, %v", len(b), err)
	}
	if b, err := compression.Decompress(nil, frames, telemetry.Zstd, len(want)-1); b != nil || !errors.Is(err, compression.ErrTooLarge) {
		t.Errorf("two zstd frames over the limit: %d bytes, %v", len(b), err)
	}
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := stdgzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zstdStream returns a frame that does not say how large its content is.
func zstdStream(t *testing.T, window int, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBombs: bodies of a few KiB that unfold to 64 MiB, and bodies that lie about it. No more than the limit and
// 10 MiB may be allocated.
func TestBombs(t *testing.T) {
	const size, limit = 64 << 20, 1 << 20
	zeros := make([]byte, 1<<20)
	var parts [][]byte
	var member []byte
	for range size / len(zeros) {
		parts = append(parts, zeros)
		member = append(member, gzipped(t, zeros)...)
	}
	stream, narrow := zstdStream(t, 8<<20, parts...), zstdStream(t, 1<<20, parts...)
	whole := make([]byte, size)
	smallClaim := gzipped(t, whole)
	copy(smallClaim[len(smallClaim)-4:], []byte{1, 0, 0, 0})
	for _, bomb := range []struct {
		name string
		c    telemetry.Compression
		body []byte
	}{
		{"gzip", telemetry.Gzip, compression.Compress(nil, whole, telemetry.Gzip)},
		{"gzip of many members", telemetry.Gzip, member},
		{"gzip that claims to be small", telemetry.Gzip, smallClaim},
		{"zstd", telemetry.Zstd, compression.Compress(nil, whole, telemetry.Zstd)},
		{"zstd without a size", telemetry.Zstd, stream},
		{"zstd without a size, with a small window", telemetry.Zstd, narrow},
		{"zstd behind a small frame", telemetry.Zstd, append(compression.Compress(nil, []byte("x"), telemetry.Zstd), stream...)},
		{"snappy", telemetry.Snappy, compression.Compress(nil, whole, telemetry.Snappy)},
		{"snappy that claims 4 GiB", telemetry.Snappy, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := compression.Decompress(nil, bomb.body, bomb.c, limit)
		runtime.ReadMemStats(&after)
		if got != nil || !errors.Is(err, compression.ErrTooLarge) {
			t.Errorf("%s: %d bytes, %v", bomb.name, len(got), err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > limit+10<<20 {
			t.Errorf("%s: allocated %d bytes for a limit of %d", bomb.name, grown, limit)
		}
	}
}

func TestGarbage(t *testing.T) {
	for _, c := range all[1:] {
		good := compression.Compress(nil, content(10_000), c)
		for n := range []int{0, 1, 5, len(good) / 2, len(good) - 1} {
			if got, err := compression.Decompress(nil, good[:n], c, 1<<20); err == nil && len(got) > 0 {
				t.Errorf("%s cut at %d gives %d bytes and no error", c, n, len(got))
			}
		}
		if _, err := compression.Decompress(nil, []byte("not compressed at all"), c, 1<<20); err == nil {
			t.Errorf("%s takes text", c)
		}
		// A pooled decoder is as good as new after an error.
		if got, err := compression.Decompress(nil, good, c, 1<<20); err != nil || len(got) != 10_000 {
			t.Errorf("%s after errors: %d bytes, %v", c, len(got), err)
		}
	}
	if _, err := compression.Decompress(nil, nil, 77, 1); !errors.Is(err, compression.ErrUnknownEncoding) {
		t.Errorf("unknown compression: %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var packed, unpacked []byte
			want := content(1000 * (i + 1))
			for range 30 {
				for _, c := range all {
					packed = compression.Compress(packed, want, c)
					var err error
					if unpacked, err = compression.Decompress(unpacked, packed, c, len(want)); err != nil || !bytes.Equal(unpacked, want) {
						t.Errorf("%s: %d bytes, %v", c, len(unpacked), err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestParseEncoding(t *testing.T) {
	for _, c := range all {
		if got, err := compression.ParseEncoding(" " + c.String()); err != nil || got != c {
			t.Errorf("%s: %v, %v", c, got, err)
		}
	}
	for s, want := range map[string]telemetry.Compression{"": telemetry.Identity, "GZIP": telemetry.Gzip, "x-gzip": telemetry.Gzip} {
		if got, err := compression.ParseEncoding(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"br", "gzip, zstd", "deflate"} {
		if _, err := compression.ParseEncoding(s); !errors.Is(err, compression.ErrUnknownEncoding) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzDecompress(f *testing.F) {
	for _, c := range all {
		f.Add(compression.Compress(nil, content(300), c), uint8(c), uint16(400))
	}
	f.Add(append(compression.Compress(nil, content(30), telemetry.Zstd), 1), uint8(telemetry.Zstd), uint16(400))
	f.Fuzz(func(t *testing.T, body []byte, c uint8, limit uint16) {
		got, err := compression.Decompress(nil, body, telemetry.Compression(c%4), int(limit))
		if err != nil && got != nil || len(got) > int(limit) {
			t.Fatalf("%d bytes for a limit of %d, %v", len(got), limit, err)
		}
	})
}

func BenchmarkCompression(b *testing.B) {
	var body []byte
	for i := range 3000 {
		body = fmt.Appendf(body, `{"time":"2026-11-20T23:46:18.%09dZ","level":"info","msg":"order placed","trace_id":"%032x"}`, i, uint64(i)*0x9e3779b97f4a7c15)
	}
	for _, c := range all[1:] {
		packed := compression.Compress(nil, body, c)
		b.Run("compress/"+c.String(), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				packed = compression.Compress(packed, body, c)
			}
			b.ReportMetric(float64(len(body))/float64(len(packed)), "ratio")
		})
		b.Run("decompress/"+c.String(), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var unpacked []byte
			for b.Loop() {
				var err error
				if unpacked, err = compression.Decompress(unpacked, packed, c, 64<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
