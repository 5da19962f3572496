package protobuf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/VictoriaMetrics/easyproto"
)

func TestReadsWhatItWrites(t *testing.T) {
	for _, v := range []uint64{0, 1, 127, 128, 16383, 16384, 1 << 35, math.MaxUint64} {
		message := AppendTagged(nil, 1<<3|Varint, v)
		message = AppendFixed64(message, 2<<3|Fixed64, v)
		message = AppendBytes(message, 3<<3|Bytes, bytes.Repeat([]byte{7}, int(v%20_000)))
		message = AppendZigzag(message, 1000<<3|Varint, int64(v))
		if n := len(AppendVarint(nil, v)); n != SizeVarint(v) {
			t.Errorf("%d takes %d bytes, SizeVarint says %d", v, n, SizeVarint(v))
		}
		r := Read(message)
		if !r.Next() || r.Tag != 1<<3|Varint || r.Bits != v {
			t.Errorf("varint %d reads as %+v", v, r)
		}
		if !r.Next() || r.Tag != 2<<3|Fixed64 || r.Bits != v {
			t.Errorf("fixed64 %d reads as %+v", v, r)
		}
		if !r.Next() || r.Tag != 3<<3|Bytes || len(r.Data) != int(v%20_000) || cap(r.Data) != len(r.Data) {
			t.Errorf("%d bytes read as %d with capacity %d", v%20_000, len(r.Data), cap(r.Data))
		}
		if !r.Next() || r.Tag != 1000<<3|Varint || Zigzag(r.Bits) != int64(v) {
			t.Errorf("zigzag %d reads as %d", int64(v), Zigzag(r.Bits))
		}
		if r.Next() || r.Err() != nil {
			t.Errorf("at the end: %v", r.Err())
		}
	}
}

func TestOpenAndClose(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 3_000_000} {
		content := bytes.Repeat([]byte{0xee}, n)
		long, start := Open([]byte{0x08, 1}, 2<<3|Bytes)
		long = append(long, content...)
		Close(long, start)
		short, start := OpenShort([]byte{0x08, 1}, 2<<3|Bytes)
		short = CloseShort(append(short, content...), start)
		for _, message := range [][]byte{long, short} {
			r := Read(append(message, 0x08, 2))
			for i, want := range []Tag{1<<3 | Varint, 2<<3 | Bytes, 1<<3 | Varint} {
				if !r.Next() || r.Tag != want {
					t.Fatalf("field %d of a message around %d bytes: %+v", i, n, r.Err())
				}
				if want == 2<<3|Bytes && !bytes.Equal(r.Data, content) {
					t.Fatalf("%d bytes came back as %d", n, len(r.Data))
				}
			}
		}
		if len(short) != 3+SizeVarint(uint64(n))+n {
			t.Errorf("OpenShort wrote %d bytes around %d", len(short), n)
		}
	}
}

func TestRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		message []byte
		want    error
	}{
		"field 0":                  {[]byte{0<<3 | Varint, 1}, ErrTag},
		"start of a group":         {[]byte{1<<3 | 3, 1<<3 | 4}, ErrTag},
		"end of a group":           {[]byte{1<<3 | 4}, ErrTag},
		"wire type 6":              {[]byte{1<<3 | 6, 0}, ErrTag},
		"wire type 7":              {[]byte{1<<3 | 7, 0}, ErrTag},
		"field 2^29":               {append(binary.AppendUvarint(nil, (maxNumber+1)<<3), 0), ErrTag},
		"tag of eleven bytes":      {bytes.Repeat([]byte{0xff}, 11), ErrVarint},
		"tag cut":                  {[]byte{0x88}, ErrTruncated},
		"varint missing":           {[]byte{1<<3 | Varint}, ErrTruncated},
		"varint cut":               {[]byte{1<<3 | Varint, 0x80}, ErrTruncated},
		"varint of 65 bits":        {[]byte{1<<3 | Varint, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2}, ErrVarint},
		"fixed64 cut":              {[]byte{1<<3 | Fixed64, 1, 2, 3, 4, 5, 6, 7}, ErrTruncated},
		"fixed32 cut":              {[]byte{1<<3 | Fixed32, 1, 2, 3}, ErrTruncated},
		"length missing":           {[]byte{1<<3 | Bytes}, ErrTruncated},
		"length beyond the end":    {[]byte{1<<3 | Bytes, 2, 0}, ErrTruncated},
		"length beyond all memory": {append(binary.AppendUvarint([]byte{1<<3 | Bytes}, math.MaxUint64), 0), ErrTruncated},
	} {
		r := Read(test.message)
		for r.Next() {
		}
		if err := r.Err(); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if r.Next() {
			t.Errorf("%s: Next goes on after an error", name)
		}
	}
}

func TestSkip(t *testing.T) {
	r := Read([]byte{1<<3 | Varint, 5, 2<<3 | Varint, 5})
	r.Next()
	r.Skip(1 << 2)
	if !r.Next() {
		t.Fatal("an unknown field stopped the walk")
	}
	r.Skip(1 << 2)
	if r.Next() || !errors.Is(r.Err(), ErrWireType) {
		t.Errorf("a known field of a wrong type: %v", r.Err())
	}
}

// FuzzReader compares the walk with easyproto's.
func FuzzReader(f *testing.F) {
	f.Add(AppendString(AppendTagged(nil, 1<<3|Varint, 300), 2<<3|Bytes, "text"))
	f.Add(AppendFixed64([]byte{3<<3 | Fixed32, 1, 2, 3, 4}, 4<<3|Fixed64, 5))
	f.Fuzz(func(t *testing.T, message []byte) {
		r := Read(message)
		var fc easyproto.FieldContext
		rest := message
		for r.Next() {
			var err error
			if rest, err = fc.NextField(rest); err != nil {
				t.Fatalf("easyproto does not read field %d: %v", r.Tag>>3, err)
			}
			if fc.FieldNum != uint32(r.Tag>>3) {
				t.Fatalf("field %d, easyproto has %d", r.Tag>>3, fc.FieldNum)
			}
			var same bool
			switch r.Tag & 7 {
			case Varint:
				v, ok := fc.Uint64()
				same = ok && v == r.Bits
			case Fixed64:
				v, ok := fc.Fixed64()
				same = ok && v == r.Bits
			case Fixed32:
				v, ok := fc.Fixed32()
				same = ok && uint64(v) == r.Bits
			case Bytes:
				v, ok := fc.Bytes()
				same = ok && bytes.Equal(v, r.Data)
			}
			if !same {
				t.Fatalf("field %d differs from easyproto's", r.Tag>>3)
			}
		}
		if r.Err() == nil && len(rest) > 0 {
			t.Fatalf("easyproto has %d bytes left", len(rest))
		}
		if r.Err() != nil && !errors.Is(r.Err(), ErrTag) {
			if _, err := fc.NextField(rest); err == nil {
				t.Fatalf("easyproto reads on after %v", r.Err())
			}
		}
	})
}

// The walk beside easyproto's, over fields as they stand in a log record.
func benchMessage() []byte {
	message := AppendFixed64(nil, 1<<3|Fixed64, 1795219578243493665)
	message = AppendTagged(message, 2<<3|Varint, 9)
	message = AppendBytes(message, 5<<3|Bytes, make([]byte, 281))
	for range 4 {
		message = AppendBytes(message, 6<<3|Bytes, make([]byte, 24))
	}
	return AppendBytes(message, 9<<3|Bytes, make([]byte, 16))
}

func BenchmarkReader(b *testing.B) {
	message := benchMessage()
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		r := Read(message)
		for r.Next() {
		}
	}
}

func BenchmarkEasyproto(b *testing.B) {
	message := benchMessage()
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		var fc easyproto.FieldContext
		for rest := message; len(rest) > 0; {
			var err error
			if rest, err = fc.NextField(rest); err != nil {
				b.Fatal(err)
			}
		}
	}
}
