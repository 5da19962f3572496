package disk

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
)

// Mem is a file system in memory that knows what a machine crash would leave of it. It is for tests.
//
// The model is that of a journalling file system: bytes are safe after Sync of their file, names after SyncDir of their
// directory; until then any prefix may survive, in order. After a Sync that failed, the bytes it should have written
// are never written, although reading still shows them and a later Sync succeeds: that is what Linux does.
type Mem struct {
	mu      sync.Mutex
	names   map[string]*memNode // every path but the root
	durable map[string]*memNode // as a crash would leave them at least
	journal map[string][]nameOp // by directory: what happened to names since its last SyncDir
	locks   map[string]bool
	failOn  func(op, name string) error
}

// A memNode is an inode. data only grows by append and is cloned before it is cut, so durable may share its array.
type memNode struct {
	dir     bool
	data    []byte
	durable []byte
	cut     bool     // data is no longer an extension of durable
	never   [][2]int // ranges of data that a failed Sync has given up
}

// A nameOp is one change of a directory: node appears under add, or name remove goes, or both at once (rename).
type nameOp struct {
	add, remove string
	node        *memNode
}

// NewMem returns an empty file system; its root, "." and "/" exist.
func NewMem() *Mem {
	return &Mem{
		names: map[string]*memNode{}, durable: map[string]*memNode{},
		journal: map[string][]nameOp{}, locks: map[string]bool{},
	}
}

// FailOn scripts errors: f is asked before each operation ("create", "append", "open", "read", "write", "sync",
// "truncate", "rename", "remove", "mkdir", "readdir", "syncdir", "lock") and what it returns is the answer; nil lets the
// operation through. A write that fails has written the first half of its bytes. A nil f ends the script.
func (m *Mem) FailOn(f func(op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failOn = f
}

// fail asks the script. It is called without m.mu, so the script may use the file system.
func (m *Mem) fail(op, name string) error {
	m.mu.Lock()
	f := m.failOn
	m.mu.Unlock()
	if f == nil {
		return nil
	}
	if err := f(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

func isRoot(name string) bool { return name == "." || name == "/" }

func (m *Mem) node(name string) (*memNode, error) {
	if n := m.names[filepath.Clean(name)]; n != nil && !n.dir {
		return n, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (m *Mem) dirExists(dir string) bool {
	return isRoot(dir) || (m.names[dir] != nil && m.names[dir].dir)
}

// change applies op to the names and notes it in the directory's journal.
func (m *Mem) change(dir string, op nameOp) {
	op.apply(m.names)
	m.journal[dir] = append(m.journal[dir], op)
}

func (op nameOp) apply(names map[string]*memNode) {
	if op.remove != "" {
		delete(names, op.remove)
	}
	if op.add != "" {
		names[op.add] = op.node
	}
}

// Create implements [FS].
func (m *Mem) Create(name string) (File, error) {
	name = filepath.Clean(name)
	if err := m.fail("create", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, err := m.node(name); err == nil {
		n.truncate(0)
		return &memFile{m: m, n: n, name: name, write: true}, nil
	}
	dir := filepath.Dir(name)
	if !m.dirExists(dir) {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrNotExist}
	}
	n := &memNode{}
	m.change(dir, nameOp{add: name, node: n})
	return &memFile{m: m, n: n, name: name, write: true}, nil
}

// OpenAppend implements [FS].
func (m *Mem) OpenAppend(name string) (File, error) { return m.open("append", name, true) }

// Open implements [FS].
func (m *Mem) Open(name string) (File, error) { return m.open("open", name, false) }

func (m *Mem) open(op, name string, write bool) (File, error) {
	if err := m.fail(op, name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.node(name)
	if err != nil {
		return nil, err
	}
	return &memFile{m: m, n: n, name: filepath.Clean(name), write: write}, nil
}

// Rename implements [FS]; both names are in one directory.
func (m *Mem) Rename(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	if filepath.Dir(from) != filepath.Dir(to) {
		panic("BUG: Mem renames within a directory only: " + from + " to " + to)
	}
	if err := m.fail("rename", from); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.node(from)
	if err != nil {
		return err
	}
	m.change(filepath.Dir(to), nameOp{add: to, remove: from, node: n})
	return nil
}

// Remove implements [FS].
func (m *Mem) Remove(name string) error {
	name = filepath.Clean(name)
	if err := m.fail("remove", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.node(name); err != nil {
		return err
	}
	m.change(filepath.Dir(name), nameOp{remove: name})
	return nil
}

// MkdirAll implements [FS].
func (m *Mem) MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	if err := m.fail("mkdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var missing []string
	for d := dir; !m.dirExists(d); d = filepath.Dir(d) {
		if m.names[d] != nil {
			return &fs.PathError{Op: "mkdir", Path: d, Err: fs.ErrExist}
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		m.change(filepath.Dir(d), nameOp{add: d, node: &memNode{dir: true}})
	}
	return nil
}

// ReadDir implements [FS].
func (m *Mem) ReadDir(dir string) ([]string, error) {
	dir = filepath.Clean(dir)
	if err := m.fail("readdir", dir); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirExists(dir) {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrNotExist}
	}
	var names []string
	for name := range m.names {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// SyncDir implements [FS].
func (m *Mem) SyncDir(dir string) error {
	dir = filepath.Clean(dir)
	if err := m.fail("syncdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirExists(dir) {
		return &fs.PathError{Op: "syncdir", Path: dir, Err: fs.ErrNotExist}
	}
	for _, op := range m.journal[dir] {
		op.apply(m.durable)
	}
	delete(m.journal, dir)
	return nil
}

// Lock implements [FS]. A second Lock of the same Mem fails; a clone made by [Mem.CrashClone] has no locks.
func (m *Mem) Lock(name string) (io.Closer, error) {
	name = filepath.Clean(name)
	if err := m.fail("lock", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, fmt.Errorf("%s: %w", name, ErrLocked)
	}
	m.locks[name] = true
	return &memLock{m: m, name: name}, nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if !l.m.locks[l.name] {
		return fs.ErrClosed
	}
	delete(l.m.locks, l.name)
	return nil
}

// parents reports whether every directory above name is in names.
func parents(names map[string]*memNode, name string) bool {
	for d := filepath.Dir(name); !isRoot(d); d = filepath.Dir(d) {
		if n := names[d]; n == nil || !n.dir {
			return false
		}
	}
	return true
}
