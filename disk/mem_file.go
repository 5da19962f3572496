package disk

import (
	"io"
	"io/fs"
	"slices"
)

// A memFile is an open file of a [Mem]; it outlives its name, as on Unix.
type memFile struct {
	m      *Mem
	n      *memNode
	name   string
	write  bool
	closed bool
}

func (f *memFile) check(op string, needWrite bool) error {
	if f.closed {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	if needWrite && !f.write {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrPermission}
	}
	return nil
}

func (f *memFile) Write(p []byte) (int, error) {
	failed := f.m.fail("write", f.name)
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("write", true); err != nil {
		return 0, err
	}
	if failed != nil {
		f.n.data = append(f.n.data, p[:len(p)/2]...)
		return len(p) / 2, failed
	}
	f.n.data = append(f.n.data, p...)
	return len(p), nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.m.fail("read", f.name); err != nil {
		return 0, err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("read", false); err != nil {
		return 0, err
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Sync() error {
	failed := f.m.fail("sync", f.name)
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("sync", false); err != nil {
		return err
	}
	n := f.n
	if failed != nil {
		from := 0
		if !n.cut {
			from = len(n.durable)
		}
		n.never = append(n.never, [2]int{from, len(n.data)})
		return failed
	}
	n.durable, n.cut = n.data[:len(n.data):len(n.data)], false
	if len(n.never) > 0 {
		n.durable = slices.Clone(n.durable)
		for _, r := range n.never {
			clear(n.durable[min(r[0], len(n.durable)):min(r[1], len(n.durable))])
		}
	}
	return nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.m.fail("truncate", f.name); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("truncate", true); err != nil {
		return err
	}
	f.n.truncate(int(size))
	return nil
}

func (n *memNode) truncate(size int) {
	if size < len(n.durable) {
		n.cut = true
	}
	kept := min(size, len(n.data))
	data := make([]byte, size)
	copy(data, n.data[:kept])
	n.data = data
	for i := range n.never {
		n.never[i][1] = min(n.never[i][1], kept)
	}
	n.never = slices.DeleteFunc(n.never, func(r [2]int) bool { return r[0] >= r[1] })
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("stat", false); err != nil {
		return 0, err
	}
	return int64(len(f.n.data)), nil
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("close", false); err != nil {
		return err
	}
	f.closed = true
	return nil
}
