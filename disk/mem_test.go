package disk

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func put(t *testing.T, m FS, name, content string, sync bool) File {
	t.Helper()
	f, err := m.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func content(t *testing.T, m FS, name string) string {
	t.Helper()
	f, err := m.Open(name)
	if err != nil {
		return "error: " + err.Error()
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		t.Fatal(err)
	}
	return string(b)
}

// outcomes are the contents of name that crashes leave, over many seeds; "-" for no such file.
func outcomes(t *testing.T, m *Mem, name string) (all []string) {
	t.Helper()
	for seed := range uint64(200) {
		c := m.CrashClone(seed)
		got := "-"
		if _, err := c.Open(name); err == nil {
			got = content(t, c, name)
		}
		if !slices.Contains(all, got) {
			all = append(all, got)
		}
	}
	slices.Sort(all)
	return all
}

func wantOutcomes(t *testing.T, m *Mem, name string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := outcomes(t, m, name); !slices.Equal(got, want) {
		t.Errorf("crashes leave %q of %s, not %q", got, name, want)
	}
}

func TestCrashLeavesWhatWasSynced(t *testing.T) {
	m := NewMem()
	f := put(t, m, "a", "12", true)
	wantOutcomes(t, m, "a", "-", "12")
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, m, "a", "12")
	if _, err := f.Write([]byte("34")); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, m, "a", "12", "123", "1234", "123\x00", "12\x00\x00")
	put(t, m, "b", "xy", false)
	wantOutcomes(t, m, "b", "-", "", "x", "xy", "x\x00", "\x00\x00")
}

func TestCrashAfterAFailedSync(t *testing.T) {
	m := NewMem()
	f := put(t, m, "a", "12", true)
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("34")); err != nil {
		t.Fatal(err)
	}
	m.FailOn(func(op, _ string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	m.FailOn(nil)
	if _, err := f.Write([]byte("56")); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, m, "a"); got != "123456" {
		t.Errorf("the file reads %q", got)
	}
	wantOutcomes(t, m, "a", "12\x00\x0056")
}

func TestCrashInARename(t *testing.T) {
	m := NewMem()
	put(t, m, "a", "old", true)
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	put(t, m, "a.tmp", "new", true)
	if err := m.Rename("a.tmp", "a"); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, m, "a", "old", "new")
	if err := m.Remove("a"); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, m, "a", "old", "new", "-")
}

func TestCrashTakesDirectoriesWithTheirContent(t *testing.T) {
	m := NewMem()
	if err := m.MkdirAll("d/e"); err != nil {
		t.Fatal(err)
	}
	put(t, m, "d/e/f", "x", true)
	if err := m.SyncDir("d/e"); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, m, "d/e/f", "x", "-")
	if err := errors.Join(m.SyncDir("d"), m.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, m, "d/e/f", "x")
}

func TestKillLosesNothingAndACrashAfterItMay(t *testing.T) {
	m := NewMem()
	if _, err := m.Lock("LOCK"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Lock("LOCK"); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	f := put(t, m, "a", "12", true)
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("3")); err != nil {
		t.Fatal(err)
	}
	k := m.KillClone()
	if _, err := k.Lock("LOCK"); err != nil {
		t.Fatal(err)
	}
	if got := content(t, k, "a"); got != "123" {
		t.Errorf("after the kill the file reads %q", got)
	}
	wantOutcomes(t, k, "a", "12", "123", "12\x00")
}

func TestTruncateAndShortWrites(t *testing.T) {
	m := NewMem()
	f := put(t, m, "a", "1234", true)
	if err := f.Truncate(1); err != nil {
		t.Fatal(err)
	}
	m.FailOn(func(op, name string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	if n, err := f.Write([]byte("abcd")); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(n, err)
	}
	if got := content(t, m, "a"); got != "1ab" {
		t.Errorf("the file reads %q", got)
	}
	r, err := m.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte("x")); err == nil {
		t.Error("a file open for reading was written")
	}
	if err := m.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	b := make([]byte, 3)
	if n, err := r.ReadAt(b, 0); n != 3 || err != nil {
		t.Errorf("an open file went with its name: %d, %v", n, err)
	}
}

func TestVersionedFiles(t *testing.T) {
	for name, fsys := range map[string]FS{"mem": NewMem(), "os": OS} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := fsys.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
			file := dir + "/state"
			if _, _, err := ReadVersioned(fsys, file, "kind", 1); !IsNotExist(err) {
				t.Fatal(err)
			}
			if err := WriteVersioned(fsys, file, "kind", 3, []byte("payload")); err != nil {
				t.Fatal(err)
			}
			if v, b, err := ReadVersioned(fsys, file, "kind", 4); v != 3 || string(b) != "payload" || err != nil {
				t.Fatal(v, b, err)
			}
			if _, _, err := ReadVersioned(fsys, file, "kind", 2); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "version 3") {
				t.Fatal(err)
			}
			if _, _, err := ReadVersioned(fsys, file, "other", 3); !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			whole := content(t, fsys, file)
			for i := range whole {
				b := []byte(whole)
				b[i] ^= 0x10
				put(t, fsys, file, string(b), true).Close()
				if _, _, err := ReadVersioned(fsys, file, "kind", 9); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("with byte %d flipped: %v", i, err)
				}
				put(t, fsys, file, whole[:i], true).Close()
				if _, _, err := ReadVersioned(fsys, file, "kind", 9); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("cut at %d: %v", i, err)
				}
			}
		})
	}
}

func TestReplacingAVersionedFileIsAtomic(t *testing.T) {
	m := NewMem()
	if err := WriteVersioned(m, "s", "kind", 1, []byte("old")); err != nil {
		t.Fatal(err)
	}
	for stop := range 5 {
		ops := 0
		m.FailOn(func(string, string) error {
			if ops++; ops > stop {
				return syscall.EIO
			}
			return nil
		})
		err := WriteVersioned(m, "s", "kind", 1, []byte("new"))
		m.FailOn(nil)
		if (err == nil) != (stop >= 5) {
			t.Errorf("after %d operations: %v", stop, err)
		}
		for seed := range uint64(50) {
			if _, b, err := ReadVersioned(m.CrashClone(seed), "s", "kind", 1); err != nil || string(b) != "old" && string(b) != "new" {
				t.Fatalf("a crash left %q, %v", b, err)
			}
		}
	}
	if err := WriteVersioned(m, "s", "kind", 1, []byte("newest")); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(50) {
		if _, b, err := ReadVersioned(m.CrashClone(seed), "s", "kind", 1); err != nil || string(b) != "newest" {
			t.Fatalf("a crash left %q, %v", b, err)
		}
	}
}

func TestOS(t *testing.T) {
	dir := t.TempDir()
	f := put(t, OS, dir+"/a", "123", true)
	if err := errors.Join(f.Truncate(2), f.Close(), OS.SyncDir(dir), OS.Rename(dir+"/a", dir+"/b")); err != nil {
		t.Fatal(err)
	}
	f, err := OS.OpenAppend(dir + "/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, OS, dir+"/b"); got != "12x" {
		t.Errorf("the file reads %q", got)
	}
	lock, err := OS.Lock(dir + "/LOCK")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OS.Lock(dir + "/LOCK"); !errors.Is(err, ErrLocked) {
		t.Errorf("the second lock: %v", err)
	}
	lock.Close()
	names, err := OS.ReadDir(dir)
	if err != nil || !slices.Equal(names, []string{"LOCK", "b"}) {
		t.Error(names, err)
	}
}
