package elasticsearch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/braidhq/braid/disk"
)

func TestTheStateOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	s, err := openState(disk.OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.sentUpTo("a"); got != -1 {
		t.Errorf("nothing sent, and sent up to %d", got)
	}
	for _, err := range []error{s.learn("a", "a-1"), s.willSend("a", 7), s.willSend("a", 8), s.learn("a", "a-2"), s.willSend("b", 1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	again, err := openState(disk.OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.opaqueID("a") != s.opaqueID("a") || again.sentUpTo("a") != 7+reserve || again.sentUpTo("b") != 1+reserve {
		t.Errorf("state is %+v, was %+v", again.content, s.content)
	}
	if other, err := openState(disk.OS, t.TempDir()); err != nil || other.opaqueID("a") == s.opaqueID("a") {
		t.Errorf("two exporters have one id: %v", err)
	}
}

func TestCandidatesAreAllThatMayHoldARecordAndNotMuchMore(t *testing.T) {
	s, err := openState(disk.OS, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	indices := []string{"i1", "i2", "i3", "i4", "i5", "i6"}
	if got := fmt.Sprint(s.candidates("a", indices, 5)); got != "[i1 i2 i3 i4 i5 i6]" {
		t.Errorf("nothing known: %s", got)
	}
	mark := func(sent int64, index string) {
		s.stream("a").SentUpTo = sent
		if err := s.learn("a", index); err != nil {
			t.Fatal(err)
		}
	}
	mark(-1, "i2")
	mark(10, "i4") // i3 came and went unseen
	mark(20, "i6")
	for received, want := range map[int64]string{
		0:  "[i1 i2 i3 i4 i5 i6]", // i1 for the node that lags behind
		10: "[i1 i2 i3 i4 i5 i6]", 11: "[i3 i4 i5 i6]", 20: "[i3 i4 i5 i6]", 21: "[i5 i6]",
	} {
		if got := fmt.Sprint(s.candidates("a", indices, received)); got != want {
			t.Errorf("received at %d: %s, want %s", received, got, want)
		}
	}
	if got := fmt.Sprint(s.candidates("a", []string{"i5", "i6"}, 15)); got != "[i5 i6]" {
		t.Errorf("retention took i4: %s", got)
	}
	for i := range 2 * maxEpochs {
		mark(int64(100+i), fmt.Sprint("j", i))
	}
	if n := len(s.stream("a").Epochs); n != maxEpochs {
		t.Errorf("%d epochs kept", n)
	}
}

func TestAStateThatCannotBeReadStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateName), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{URLs: []string{"http://127.0.0.1:1"}, StateDir: dir}); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("New over a corrupt state: %v", err)
	}
}
