package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The header of a versioned file: "BRAID", a NUL, the format's version (u16 little-endian), the kind's name padded
// with NUL to 16 bytes, and the CRC-32C of all the other bytes, header and payload (u32 little-endian). The header is
// the same in every version of every kind.
const versionedHeader = 5 + 1 + 2 + 16 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt says that a file's header or checksum is not right.
var ErrCorrupt = errors.New("corrupt")

// ErrVersion says that a file was written in a format this braid does not know.
var ErrVersion = errors.New("unknown version")

// WriteVersioned replaces the file name atomically and durably by payload, which may come in parts, under a header that says
// what it is (kind, 16 bytes at most) and in which version.
func WriteVersioned(fsys FS, name, kind string, version uint16, payload ...[]byte) error {
	if len(kind) > 16 {
		panic("BUG: kind of a versioned file is longer than 16 bytes: " + kind)
	}
	b := make([]byte, versionedHeader)
	copy(b, "BRAID")
	binary.LittleEndian.PutUint16(b[6:], version)
	copy(b[8:], kind)
	binary.LittleEndian.PutUint32(b[24:], versionedSum(b, payload...))
	if err := replace(fsys, name, append([][]byte{b}, payload...)); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

func versionedSum(header []byte, payload ...[]byte) uint32 {
	sum := crc32.Checksum(header[:24], castagnoli)
	for _, part := range payload {
		sum = crc32.Update(sum, castagnoli, part)
	}
	return sum
}

// ReadVersioned reads what [WriteVersioned] wrote and returns its version, between 1 and newest, and its payload.
// A missing file is fs.ErrNotExist, a damaged one [ErrCorrupt], one of a newer braid [ErrVersion].
func ReadVersioned(fsys FS, name, kind string, newest uint16) (uint16, []byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return 0, nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !(errors.Is(err, io.EOF)) {
		return 0, nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	var want [16]byte
	copy(want[:], kind)
	if len(b) < versionedHeader || string(b[:6]) != "BRAID\x00" || string(b[8:24]) != string(want[:]) {
		return 0, nil, fmt.Errorf("%s is no %s file of braid: %w", name, kind, ErrCorrupt)
	}
	payload := b[versionedHeader:]
	if versionedSum(b, payload) != binary.LittleEndian.Uint32(b[24:]) {
		return 0, nil, fmt.Errorf("%s fails its checksum: %w", name, ErrCorrupt)
	}
	version := binary.LittleEndian.Uint16(b[6:])
	if version == 0 || version > newest {
		return 0, nil, fmt.Errorf("%s has version %d and this braid reads up to %d: start the newer braid that wrote it, or let that one drain first: %w",
			name, version, newest, ErrVersion)
	}
	return version, payload, nil
}
