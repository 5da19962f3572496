package tail

import (
	"bytes"
	"testing"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

func emptyFollower() *Follower {
	f := &Follower{attempts: map[attemptKey]*Attempt{}}
	setDefaults(&f.o)
	return f
}

func sampleState() []byte {
	f := emptyFollower()
	a := f.newAttempt(Container{Dir: "ns_pod_uid", Namespace: "ns", Pod: "pod", PodUID: "uid", Container: "main", Restart: 3}, format.CRI)
	for i := range 3 {
		a.append(&chainFile{id: telemetry.FileID{byte(i)}, hasID: true, known: int64(1000 + i), acked: [streams]int64{0, 10, 20}})
	}
	a.chain[1].cuts = []format.Cut{{Stream: telemetry.Stderr, End: format.Mark{File: 1, Offset: 77}}}
	a.chain[1].torn = 1001
	a.saved = format.Resume{Mark: format.Mark{File: 1, Offset: 55}, Skip: [3]bool{1: true}}
	return f.encode()
}

func TestStateRoundTrip(t *testing.T) {
	payload := sampleState()
	f := emptyFollower()
	if err := f.decodeState(payload); err != nil {
		t.Fatal(err)
	}
	a := f.attempts[attemptKey{"ns_pod_uid", "main", 3}]
	if a == nil || len(a.chain) != 3 || a.saved.File != 1 || a.saved.Offset != 55 || !a.saved.Skip[1] || a.at != a.saved.Mark {
		t.Fatalf("%+v", a)
	}
	c := a.chain[1]
	if c.torn != 1001 || len(c.cuts) != 1 || c.cuts[0].End != (format.Mark{File: 1, Offset: 77}) || c.acked != [streams]int64{0, 10, 20} {
		t.Fatalf("%+v", c)
	}
	for n := range payload[:len(payload)-1] {
		if err := emptyFollower().decodeState(payload[:n]); err == nil {
			t.Fatalf("the first %d bytes of a state pass for a state", n)
		}
	}
}

// A state decodes or is refused; what decodes is written back the same.
func FuzzState(f *testing.F) {
	f.Add(sampleState())
	f.Add(emptyFollower().encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		first := emptyFollower()
		if first.decodeState(b) != nil {
			return
		}
		one := first.encode()
		second := emptyFollower()
		if err := second.decodeState(one); err != nil {
			t.Fatal(err)
		}
		if two := second.encode(); !bytes.Equal(one[9:], two[9:]) {
			t.Fatalf("%q is written back as %q", one, two)
		}
	})
}

func TestStateOfNewerVersion(t *testing.T) {
	dir := t.TempDir()
	if err := disk.WriteVersioned(disk.OS, dir+"/positions", stateKind, stateVersion+1, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Follow(Options{StateDir: dir}); err == nil {
		t.Fatal("a state of a newer version was accepted")
	}
}
