package tail

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

const (
	stateKind    = "positions"
	stateVersion = 1
	stateName    = "positions"
)

// StateDirty reports that there is something to save.
func (f *Follower) StateDirty() bool { return f.stateDirty }

// Save writes what is safe, durably. An error is counted and told; the state stays dirty and the one on disk stays valid.
func (f *Follower) Save() error {
	disk.Point("agent.state.before")
	name := filepath.Join(f.o.StateDir, stateName)
	if err := disk.WriteVersioned(f.o.FS, name, stateKind, stateVersion, f.encode()); err != nil {
		f.problem("state", name, err)
		return err
	}
	f.solved("state", name)
	f.stateDirty = false
	disk.Point("agent.state.after")
	return nil
}

// load reads the state. One that is damaged is put aside: everything that is still on disk is read again, under the same
// ids. One of a newer version is an error.
func (f *Follower) load() error {
	name := filepath.Join(f.o.StateDir, stateName)
	_, payload, err := disk.ReadVersioned(f.o.FS, name, stateKind, stateVersion)
	if disk.IsNotExist(err) {
		return nil
	}
	if err == nil {
		err = f.decodeState(payload)
	}
	if errors.Is(err, disk.ErrCorrupt) {
		f.problem("state", name, err)
		f.o.Metrics.Gaps.WithLabelValues("state-corrupt").Inc()
		clear(f.attempts)
		return f.o.FS.Rename(name, name+".corrupt")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot load log positions: %w", err)
	}
	return nil
}

// encode renders the state as docs/format/positions.md says.
func (f *Follower) encode() []byte {
	var list []*Attempt
	for _, a := range f.attempts {
		if slices.ContainsFunc(a.chain, saveable) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b *Attempt) int {
		return strings.Compare(a.Dir+"\x00"+a.Container.Container, b.Dir+"\x00"+b.Container.Container)
	})
	b := binary.AppendUvarint(nil, uint64(f.o.Now().UnixNano()))
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, a := range list {
		b = a.encode(b)
	}
	return b
}

func saveable(c *chainFile) bool { return c.hasID && !c.lost }

func (a *Attempt) encode(b []byte) []byte {
	for _, s := range []string{a.Dir, a.Container.Container, a.Namespace, a.Pod, a.PodUID, a.ContainerID} {
		b = appendString(b, s)
	}
	b = binary.AppendVarint(b, int64(a.Restart))
	b = append(b, byte(a.format))
	n, resume := 0, uint64(0)
	offset := int64(0)
	for _, c := range a.chain {
		if !saveable(c) {
			continue
		}
		if c.seq < a.saved.File {
			resume++
		} else if c.seq == a.saved.File {
			offset = a.saved.Offset
		}
		n++
	}
	b = binary.AppendUvarint(b, uint64(n))
	for _, c := range a.chain {
		if saveable(c) {
			b = c.encode(b)
		}
	}
	b = binary.AppendUvarint(b, resume)
	b = binary.AppendUvarint(b, uint64(offset))
	skip := byte(0)
	for s, on := range a.saved.Skip {
		if on {
			skip |= 1 << s
		}
	}
	return append(b, skip)
}

func (c *chainFile) encode(b []byte) []byte {
	b = append(b, c.id[:]...)
	b = binary.AppendUvarint(b, uint64(c.known))
	b = binary.AppendUvarint(b, uint64(c.torn))
	for _, p := range c.acked {
		b = binary.AppendUvarint(b, uint64(p))
	}
	b = binary.AppendUvarint(b, uint64(len(c.cuts)))
	for _, cut := range c.cuts {
		b = append(b, byte(cut.Stream))
		b = binary.AppendUvarint(b, uint64(cut.End.Offset))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeState makes attempts of a state file's payload.
func (f *Follower) decodeState(payload []byte) error {
	r := &stateReader{b: payload}
	f.aliveUntil = time.Unix(0, r.int())
	for n := r.int(); n > 0 && r.err == nil; n-- {
		f.decodeAttempt(r)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail()
	}
	return r.err
}

func (f *Follower) decodeAttempt(r *stateReader) {
	c := Container{Dir: r.string(), Container: r.string(), Namespace: r.string(), Pod: r.string(), PodUID: r.string(), ContainerID: r.string()}
	c.Restart = int(r.varint())
	form := format.Format(r.byte())
	files := r.int()
	if r.err != nil || form != format.CRI && form != format.Docker {
		r.fail()
		return
	}
	a := f.newAttempt(c, form)
	a.restored = true
	for ; files > 0 && r.err == nil; files-- {
		a.append(decodeFile(r, c, form, a.nextSeq))
	}
	a.saved.File, a.saved.Offset = int(r.int()), r.int()
	skip := r.byte()
	for s := range a.saved.Skip {
		a.saved.Skip[s] = skip&(1<<s) != 0
	}
	if a.saved.File > a.nextSeq {
		r.fail()
	}
	a.rewind()
}

func decodeFile(r *stateReader, c Container, form format.Format, seq int) *chainFile {
	file := &chainFile{File: File{Container: c, format: form}, hasID: true}
	copy(file.id[:], r.bytes(len(file.id)))
	file.known, file.torn = r.int(), r.int()
	for i := range file.acked {
		file.acked[i] = r.int()
	}
	for n := r.int(); n > 0 && r.err == nil; n-- {
		cut := format.Cut{Stream: telemetry.Stream(r.byte())}
		cut.End = format.Mark{File: seq, Offset: r.int()}
		file.cuts = append(file.cuts, cut)
	}
	return file
}

// A stateReader reads a payload; after the first error everything is zero.
type stateReader struct {
	b   []byte
	err error
}

func (r *stateReader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("positions end in the middle: %w", disk.ErrCorrupt)
	}
	r.b = nil
}

func (r *stateReader) bytes(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *stateReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *stateReader) int() int64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<62 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return int64(v)
}

func (r *stateReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *stateReader) string() string {
	n := r.int()
	if n > int64(len(r.b)) {
		r.fail()
		return ""
	}
	return string(r.bytes(int(n)))
}
