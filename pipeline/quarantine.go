package pipeline

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

const (
	quarantineDir     = "quarantine"
	quarantineSuffix  = ".frame"
	quarantineKind    = "quarantine"
	quarantineVersion = 1
)

// A jail keeps frames that would block their lane for somebody to look at: one file each, the oldest go first when
// they take too much.
type jail struct {
	fs    disk.FS
	dir   string
	limit int64

	mu     *sync.Mutex
	loaded bool
	files  []jailed
	total  int64
}

type jailed struct {
	name string
	size int64
}

func newJail(q *Queue) jail {
	return jail{
		fs: q.options.FS, dir: filepath.Join(q.options.Dir, quarantineDir), limit: q.options.QuarantineBytes,
		mu: &sync.Mutex{},
	}
}

func (j *jail) bytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.load() != nil {
		return 0
	}
	return j.total
}

// load finds what earlier runs have left.
func (j *jail) load() error {
	if j.loaded {
		return nil
	}
	names, err := j.fs.ReadDir(j.dir)
	if err != nil && !disk.IsNotExist(err) {
		return err
	}
	j.files, j.total = j.files[:0], 0
	for _, name := range names {
		if !strings.HasSuffix(name, quarantineSuffix) {
			continue
		}
		name = filepath.Join(j.dir, name)
		f, err := j.fs.Open(name)
		if err != nil {
			return err
		}
		size, err := f.Size()
		f.Close()
		if err != nil {
			return err
		}
		j.files, j.total = append(j.files, jailed{name, size}), j.total+size
	}
	j.loaded = true
	return nil
}

// put writes f and the reason why it is here. The same frame of the same cursor has the same file, so going over it
// again after a crash adds nothing.
func (j *jail) put(f *telemetry.Frame, cursor, reason string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.load(); err != nil {
		return fmt.Errorf("cannot quarantine a frame: %w", err)
	}
	payload := appendQuarantined(nil, f, reason)
	if int64(len(payload)) > j.limit {
		return fmt.Errorf("cannot quarantine a frame of %d bytes: the quarantine takes %d", len(payload), j.limit)
	}
	if err := j.fs.MkdirAll(j.dir); err != nil {
		return fmt.Errorf("cannot quarantine a frame: %w", err)
	}
	name := filepath.Join(j.dir, fmt.Sprintf("%s-%016x-%s%s", f.Signal, f.Position, cursor, quarantineSuffix))
	j.forget(name)
	if err := disk.WriteVersioned(j.fs, name, quarantineKind, quarantineVersion, payload); err != nil {
		j.loaded = false
		return err
	}
	j.files, j.total = append(j.files, jailed{name, int64(len(payload))}), j.total+int64(len(payload))
	for j.total > j.limit {
		if err := j.fs.Remove(j.files[0].name); err != nil && !disk.IsNotExist(err) {
			return fmt.Errorf("cannot empty the quarantine: %w", err)
		}
		j.forget(j.files[0].name)
	}
	return nil
}

func (j *jail) forget(name string) {
	for i, f := range j.files {
		if f.name == name {
			j.total -= f.size
			j.files = append(j.files[:i], j.files[i+1:]...)
			return
		}
	}
}

// appendQuarantined appends the reason (u32 length, text) and the frame as a segment would hold it, with a CRC of its
// own place.
func appendQuarantined(dst []byte, f *telemetry.Frame, reason string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(reason)))
	dst = append(dst, reason...)
	dst = binary.LittleEndian.AppendUint64(dst, f.Position)
	dst = appendHead(dst, f, place{signal: f.Signal}, f.Position, f.ReceivedUnixNano)
	return append(dst, f.Body...)
}

// parseQuarantined reads what appendQuarantined wrote.
func parseQuarantined(b []byte) (f telemetry.Frame, reason string, err error) {
	if len(b) < 4 || uint64(len(b)) < 4+uint64(binary.LittleEndian.Uint32(b))+8+frameHead {
		return f, "", disk.ErrCorrupt
	}
	n := 4 + int(binary.LittleEndian.Uint32(b))
	reason, b = string(b[4:n]), b[n:]
	position := binary.LittleEndian.Uint64(b)
	b = b[8:]
	if _, err := parseFrame(&f, b, place{signal: telemetry.Signal(b[12])}, position, uint64(len(b)), &interner{}); err != nil {
		return f, "", disk.ErrCorrupt
	}
	return f, reason, nil
}

// quarantine puts f aside for the cursor's delivery. Should even that fail the frame is passed by all the same, said
// and counted: one bad record must not block the rest.
func (c *Cursor) quarantine(f *telemetry.Frame, why error) {
	err := c.q.jail.put(f, c.name, why.Error())
	c.q.options.Logger.Error("a frame is quarantined", "lane", c.lane.signal.String(), "cursor", c.name,
		"position", f.Position, "reason", why, "err", err)
	c.drop(reasonQuarantined, 1)
}
