package correlate

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

// The bytes are described in docs/format/verdicts.md.
const (
	verdictMagic   = "BRAIDVRD"
	verdictVersion = 1
	verdictHeader  = 32
	verdictRecord  = 36
	verdictSuffix  = ".verdicts"
	verdictTmp     = ".tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(b []byte, v *Verdict) []byte {
	begin := len(b)
	b = append(b, v.Trace[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(v.ReceivedUnixNano))
	b = binary.LittleEndian.AppendUint64(b, v.Rules)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[begin:], castagnoli))
}

// parseRecord reads a record's bytes; false: they are damaged.
func parseRecord(b []byte) (v Verdict, ok bool) {
	if crc32.Checksum(b[:32], castagnoli) != binary.LittleEndian.Uint32(b[32:]) {
		return v, false
	}
	v.Trace = telemetry.TraceID(b[:16])
	v.ReceivedUnixNano = int64(binary.LittleEndian.Uint64(b[16:]))
	v.Rules = binary.LittleEndian.Uint64(b[24:])
	return v, true
}

func verdictFileHeader(base uint64) []byte {
	b := make([]byte, verdictHeader)
	copy(b, verdictMagic)
	binary.LittleEndian.PutUint16(b[8:], verdictVersion)
	binary.LittleEndian.PutUint16(b[10:], verdictHeader)
	binary.LittleEndian.PutUint16(b[12:], verdictRecord)
	binary.LittleEndian.PutUint64(b[16:], base)
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
	return b
}

// checkHeader answers disk.ErrCorrupt for a damaged header, disk.ErrVersion for a newer braid's.
func checkHeader(b []byte, name string, base uint64) error {
	if len(b) < verdictHeader || crc32.Checksum(b[:28], castagnoli) != binary.LittleEndian.Uint32(b[28:]) || string(b[:8]) != verdictMagic {
		return fmt.Errorf("the header of %s: %w", name, disk.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != verdictVersion {
		return fmt.Errorf("%s has version %d and this braid reads version %d: start the newer braid that wrote it: %w",
			name, v, verdictVersion, disk.ErrVersion)
	}
	if binary.LittleEndian.Uint64(b[16:]) != base {
		return fmt.Errorf("%s has another file's header: %w", name, errVerdicts)
	}
	return nil
}

// OpenVerdicts opens the log in o.Dir, or makes one. What a crash has left unfinished at its end is cut off.
func OpenVerdicts(o VerdictsOptions) (*Verdicts, error) {
	if o.Dir == "" {
		return nil, errors.New("cannot open a verdict log without a directory")
	}
	if o.FS == nil {
		o.FS = disk.OS
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.Late <= 0 {
		o.Late = defaultLate
	}
	if o.SegmentRecords <= 0 {
		o.SegmentRecords = defaultSegmentRecords
	}
	v := &Verdicts{
		fs: o.FS, dir: o.Dir, life: int64(o.Wait + o.Late), late: int64(o.Late), perSegment: uint64(o.SegmentRecords), self: newVerdictMetrics(),
	}
	err := v.fs.MkdirAll(v.dir)
	if err == nil {
		err = v.fs.SyncDir(filepath.Dir(filepath.Clean(v.dir)))
	}
	if err == nil {
		err = v.load()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the verdict log in %s: %w", o.Dir, err)
	}
	v.self.length.Set(float64(v.length))
	if o.Registerer != nil {
		o.Registerer.MustRegister(v.self.length, v.self.damaged)
	}
	return v, nil
}

func (v *Verdicts) load() error {
	names, err := v.fs.ReadDir(v.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(v.dir, name)
		digits, ok := strings.CutSuffix(name, verdictSuffix)
		base, err := strconv.ParseUint(digits, 16, 64)
		if !ok || err != nil || len(digits) != 16 {
			if strings.HasSuffix(name, verdictTmp) {
				_ = v.fs.Remove(path)
			}
			continue
		}
		if err := v.loadSegment(newVerdictSegment(path, base)); err != nil {
			return err
		}
	}
	return v.mendTail()
}

// loadSegment reads one file. A damaged record is passed by and counted; a damaged header is counted, and its records are
// read all the same, since each has its own checksum.
func (v *Verdicts) loadSegment(seg *verdictSegment) error {
	b, err := v.read(seg.name)
	if err != nil {
		return err
	}
	if len(b) < verdictHeader {
		return v.fs.Remove(seg.name) // it was never finished
	}
	if err := checkHeader(b, seg.name, seg.base); errors.Is(err, disk.ErrCorrupt) {
		v.self.damaged.Inc()
	} else if err != nil {
		return err
	}
	for b = b[verdictHeader:]; len(b) >= verdictRecord; b = b[verdictRecord:] {
		seg.records++
		if r, ok := parseRecord(b); ok {
			seg.good = seg.records
			seg.add(&r)
		}
	}
	v.self.damaged.Add(float64(seg.good) - float64(seg.count()))
	v.segments = append(v.segments, seg)
	return nil
}

func (s *verdictSegment) count() (n int) {
	for _, more := range s.again {
		n += len(more)
	}
	return n + len(s.traces)
}

// mendTail makes what has been read safe before anybody reads it: the newest file is written anew without its unfinished
// end, and synced. How much of it counts only Truncate knows.
func (v *Verdicts) mendTail() error {
	seg := v.newest()
	for seg != nil && seg.good == 0 {
		if err := v.fs.Remove(seg.name); err != nil {
			return err
		}
		v.segments = v.segments[:len(v.segments)-1]
		seg = v.newest()
	}
	if seg == nil {
		return nil
	}
	seg.records = seg.good
	v.length = seg.end()
	fresh, err := v.rewrite(seg, seg.end())
	if err != nil {
		return err
	}
	v.segments[len(v.segments)-1] = fresh
	return v.reopen()
}

func (v *Verdicts) read(name string) ([]byte, error) {
	f, err := v.fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// rewrite replaces a file by its records before number end, synced. (Cutting the file was rejected: after a failed sync
// the kernel may hold bytes for written that are not, and only writing them again mends that.)
func (v *Verdicts) rewrite(seg *verdictSegment, end uint64) (*verdictSegment, error) {
	b, err := v.read(seg.name)
	if err != nil {
		return nil, err
	}
	size := verdictHeader + (end-seg.base)*verdictRecord
	if uint64(len(b)) < size {
		return nil, fmt.Errorf("%s has become shorter: %w", seg.name, disk.ErrCorrupt)
	}
	fresh := newVerdictSegment(seg.name, seg.base)
	fresh.records = end - seg.base
	for rest := b[verdictHeader:size]; len(rest) > 0; rest = rest[verdictRecord:] {
		if r, ok := parseRecord(rest); ok {
			fresh.add(&r)
		}
	}
	copy(b, verdictFileHeader(seg.base))
	return fresh, v.replace(seg.name, b[:size])
}

func (v *Verdicts) replace(name string, b []byte) error {
	f, err := v.fs.Create(name + verdictTmp)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = v.fs.Rename(name+verdictTmp, name)
	}
	if err == nil {
		err = v.fs.SyncDir(v.dir)
	}
	return err
}

// reopen opens the newest file for appending, if more fits into it.
func (v *Verdicts) reopen() error {
	v.closeFile()
	seg := v.newest()
	v.broken = false
	if seg == nil || seg.end() != v.length || v.length%v.perSegment == 0 && seg.records > 0 {
		return nil
	}
	file, err := v.fs.OpenAppend(seg.name)
	v.file = file
	v.broken = err != nil
	return err
}

// mend puts right what a write that failed has left.
func (v *Verdicts) mend() error {
	if !v.broken {
		return nil
	}
	v.closeFile()
	if seg := v.newest(); seg != nil {
		if _, err := v.rewrite(seg, seg.end()); err != nil {
			return err
		}
	}
	return v.reopen()
}

// begin makes the next file; its name is durable before its first record is.
func (v *Verdicts) begin() (*verdictSegment, error) {
	v.closeFile()
	seg := newVerdictSegment(filepath.Join(v.dir, fmt.Sprintf("%016x%s", v.length, verdictSuffix)), v.length)
	file, err := v.fs.Create(seg.name)
	if err != nil {
		return nil, err
	}
	if _, err = file.Write(verdictFileHeader(seg.base)); err == nil {
		err = v.fs.SyncDir(v.dir)
	}
	if err != nil {
		file.Close()
		_ = v.fs.Remove(seg.name) // it is empty; the next attempt makes it anew
		return nil, err
	}
	v.file = file
	v.mu.Lock()
	v.segments = append(v.segments, seg)
	v.mu.Unlock()
	return seg, nil
}
