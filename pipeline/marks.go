package pipeline

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// marksIdle is how long, on the frames' receive clock, a mark outlives what last touched it.
const marksIdle = int64(7 * 24 * time.Hour)

// Marks remember how far each log file's streams, and each other queue's lanes, have been judged: a line or frame at
// or below its mark is a repeat. They are a function of the frames in lane order alone, so every cursor judges alike,
// before and after a restart. The zero value is not ready; see [NewMarks].
type Marks struct {
	files   map[fileKey]mark
	origins map[originKey]mark
	newest  int64 // receive stamp of the newest frame judged
	pruned  int64 // newest at the last pruning

	undo  []undone // since begin
	began int64    // newest at begin
}

type fileKey struct {
	id     telemetry.FileID
	stream telemetry.Stream
}

type originKey struct {
	id     telemetry.QueueID
	signal telemetry.Signal
}

// A mark is the highest position judged, and the receive stamp of the frame that last touched it.
type mark struct {
	high uint64
	seen int64
}

// undone is what a key had before; exactly one of the keys is set.
type undone struct {
	file   fileKey
	origin originKey
	mark   mark
	had    bool
}

// NewMarks returns marks that have seen nothing.
func NewMarks() *Marks {
	return &Marks{files: map[fileKey]mark{}, origins: map[originKey]mark{}}
}

// begin starts a round that rollback can undo. Only here marks are pruned: no round may miss one that counted for it.
func (m *Marks) begin() {
	m.undo, m.began = m.undo[:0], m.newest
	if m.newest-m.pruned >= int64(time.Hour) {
		m.prune()
	}
}

// rollback takes everything back since begin.
func (m *Marks) rollback() {
	for i := len(m.undo) - 1; i >= 0; i-- {
		switch u := m.undo[i]; {
		case u.origin != (originKey{}) && u.had:
			m.origins[u.origin] = u.mark
		case u.origin != (originKey{}):
			delete(m.origins, u.origin)
		case u.had:
			m.files[u.file] = u.mark
		default:
			delete(m.files, u.file)
		}
	}
	m.undo, m.newest = m.undo[:0], m.began
}

// live reports whether a mark still counts for a frame received at stamp. Whether it has been pruned must not matter.
func (k mark) live(stamp int64) bool { return k.seen >= stamp-marksIdle }

// Frame judges a frame by where it came from and reports whether it is new. Frames without an origin always are.
func (m *Marks) Frame(f *telemetry.Frame) bool {
	m.newest = max(m.newest, f.ReceivedUnixNano)
	if f.Origin == (telemetry.QueueID{}) {
		return true
	}
	key := originKey{f.Origin, f.Signal}
	old, had := m.origins[key]
	isNew := !had || !old.live(f.ReceivedUnixNano) || f.Sequence > old.high
	next := mark{old.high, f.ReceivedUnixNano}
	if isNew {
		next.high = f.Sequence
	}
	m.undo = append(m.undo, undone{origin: key, mark: old, had: had})
	m.origins[key] = next
	return isNew
}

// Batch shortens b.Logs to the lines that are new, by the batch's FileID and each line's stream and position, and
// returns how many were repeats. Batches that come from no file are left alone.
func (m *Marks) Batch(b *telemetry.Batch) (repeats int) {
	if b.FileID.IsZero() || len(b.Logs) == 0 {
		return 0
	}
	const streams = int(telemetry.Stderr) + 1
	var old, next [streams]mark
	var had, touched [streams]bool
	for s := range streams {
		old[s], had[s] = m.files[fileKey{b.FileID, telemetry.Stream(s)}]
		if had[s] && old[s].live(b.ReceivedUnixNano) {
			next[s] = old[s]
		}
	}
	kept := 0
	for i := range b.Logs {
		s := min(int(b.Logs[i].Stream), streams-1)
		touched[s] = true
		if position := b.Logs[i].Position; position > 0 { // else it was not read from a file
			if uint64(position) <= next[s].high {
				repeats++
				continue
			}
			next[s].high = uint64(position)
		}
		if kept != i {
			b.Logs[kept] = b.Logs[i]
		}
		kept++
	}
	b.Logs = b.Logs[:kept]
	for s := range streams {
		if touched[s] {
			key := fileKey{b.FileID, telemetry.Stream(s)}
			m.undo = append(m.undo, undone{file: key, mark: old[s], had: had[s]})
			m.files[key] = mark{next[s].high, b.ReceivedUnixNano}
		}
	}
	return repeats
}

// prune drops the marks that no frame to come can find alive.
func (m *Marks) prune() {
	m.pruned = m.newest
	for key, k := range m.files {
		if !k.live(m.newest) {
			delete(m.files, key)
		}
	}
	for key, k := range m.origins {
		if !k.live(m.newest) {
			delete(m.origins, key)
		}
	}
}

const (
	marksVersion = 1
	fileEntry    = 12 + 1 + 8 + 8
	originEntry  = 8 + 1 + 8 + 8
)

// AppendSnapshot appends the marks to b in a compact form that starts with its version.
func (m *Marks) AppendSnapshot(b []byte) []byte {
	b = append(slices.Grow(b, 17+len(m.files)*fileEntry+len(m.origins)*originEntry), marksVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.newest))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.files)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.origins)))
	for key, k := range m.files {
		b = append(append(b, key.id[:]...), byte(key.stream))
		b = k.append(b)
	}
	for key, k := range m.origins {
		b = append(append(b, key.id[:]...), byte(key.signal))
		b = k.append(b)
	}
	return b
}

func (k mark) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, k.high)
	return binary.LittleEndian.AppendUint64(b, uint64(k.seen))
}

func parseMark(b []byte) mark {
	return mark{binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:]))}
}

// Restore replaces the marks by those of a snapshot; nil is a snapshot of nothing.
func (m *Marks) Restore(snapshot []byte) error {
	*m = *NewMarks()
	if len(snapshot) == 0 {
		return nil
	}
	if snapshot[0] != marksVersion {
		return fmt.Errorf("cannot restore marks of version %d, this braid reads %d: %w", snapshot[0], marksVersion, disk.ErrVersion)
	}
	if len(snapshot) < 17 {
		return fmt.Errorf("cannot restore marks: %w", disk.ErrCorrupt)
	}
	m.newest = int64(binary.LittleEndian.Uint64(snapshot[1:]))
	files, origins := uint64(binary.LittleEndian.Uint32(snapshot[9:])), uint64(binary.LittleEndian.Uint32(snapshot[13:]))
	b := snapshot[17:]
	if uint64(len(b)) != files*fileEntry+origins*originEntry {
		return fmt.Errorf("cannot restore marks: %w", disk.ErrCorrupt)
	}
	for ; files > 0; files, b = files-1, b[fileEntry:] {
		m.files[fileKey{telemetry.FileID(b[:12]), telemetry.Stream(b[12])}] = parseMark(b[13:])
	}
	for ; origins > 0; origins, b = origins-1, b[originEntry:] {
		m.origins[originKey{telemetry.QueueID(b[:8]), telemetry.Signal(b[8])}] = parseMark(b[9:])
	}
	return nil
}
