package agent

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPrepareLetsTheGroupWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	mode := func() os.FileMode {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	run := func() {
		cmd := NewCommand("braid-agent", "test")
		cmd.SetArgs([]string{"prepare", dir})
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if mode() != 0o770 {
		t.Errorf("a directory that was made has mode %o", mode())
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run()
	if mode() != 0o770 {
		t.Errorf("a directory as kubelet makes it has mode %o afterwards", mode())
	}
	if err := os.Chmod(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	run()
	if mode() != 0o775 {
		t.Errorf("a directory that the group may write already was changed to %o", mode())
	}
}
