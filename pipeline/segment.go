package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

const (
	segmentMagic   = "BRAIDSEG"
	segmentVersion = 1
	segmentHeader  = 64
	segmentSuffix  = ".seg"
	// knownFeatures are the feature bits that this braid can read. A segment with another one is refused.
	knownFeatures = 0
)

// A segment is one file of a lane. The lane's mutex guards end and durable.
type segment struct {
	name    string // with its directory
	base    uint64 // position of its first frame
	ordinal uint64 // how many frames the lane had taken before it
	stamp   int64  // the newest received stamp of the queue when it was made: none of its frames is older
	end     uint64 // position after its last synced frame
	durable bool   // its name and header survive a crash
}

func segmentName(dir string, base uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", base, segmentSuffix))
}

// parseBase returns the position in a name like 0000000000001f40.seg.
func parseBase(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	base, err := strconv.ParseUint(digits, 16, 64)
	return base, err == nil
}

func (s *segment) offset(position uint64) int64 { return segmentHeader + int64(position-s.base) }

// bytes is the size of the synced part on disk.
func (s *segment) bytes() int64 { return segmentHeader + int64(s.end-s.base) }

func (s *segment) header(p place) []byte {
	b := make([]byte, segmentHeader)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint16(b[8:], segmentVersion)
	binary.LittleEndian.PutUint16(b[10:], segmentHeader)
	copy(b[16:], p.queue[:])
	b[24] = byte(p.signal)
	binary.LittleEndian.PutUint64(b[32:], s.base)
	binary.LittleEndian.PutUint64(b[40:], s.ordinal)
	binary.LittleEndian.PutUint64(b[48:], uint64(s.stamp))
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// readHeader fills s from the header of its file. disk.ErrCorrupt says that the header is lost (its frames need not
// be), disk.ErrVersion that a newer braid wrote the segment.
func (s *segment) readHeader(f disk.File, p place) error {
	var b [segmentHeader]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot read %s: %w", s.name, err)
	}
	if n < segmentHeader || string(b[:8]) != segmentMagic ||
		crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:]) {
		return fmt.Errorf("the header of %s: %w", s.name, disk.ErrCorrupt)
	}
	version, features := binary.LittleEndian.Uint16(b[8:]), binary.LittleEndian.Uint32(b[12:])
	if version != segmentVersion || features&^knownFeatures != 0 {
		return fmt.Errorf("segment %s has version %d and features %#x, this braid reads version %d and features %#x: "+
			"start the newer braid that wrote it, or let that one drain the queue first: %w",
			s.name, version, features, segmentVersion, knownFeatures, disk.ErrVersion)
	}
	if telemetry.QueueID(b[16:24]) != p.queue || b[24] != byte(p.signal) || binary.LittleEndian.Uint64(b[32:]) != s.base {
		return fmt.Errorf("segment %s belongs to another queue, lane or position: move it away", s.name)
	}
	s.ordinal = binary.LittleEndian.Uint64(b[40:])
	s.stamp = int64(binary.LittleEndian.Uint64(b[48:]))
	return nil
}
