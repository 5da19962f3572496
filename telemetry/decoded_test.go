package telemetry

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

func TestNilAsksForAllAttributes(t *testing.T) {
	var all *Attributes
	if all.None() {
		t.Error("nil asks for none")
	}
	for _, key := range []string{"", "a", strings.Repeat("k", 300)} {
		if found, ok := all.Find(key); found != key || !ok || !all.HasLength(len(key)) {
			t.Errorf("%q: %q, %v", key, found, ok)
		}
	}
}

func TestNoKeysAskForNone(t *testing.T) {
	none := NewAttributes()
	if !none.None() {
		t.Error("no keys ask for something")
	}
	for n := range 300 {
		if _, ok := none.Find(strings.Repeat("k", n)); ok || none.HasLength(n) {
			t.Errorf("a key of length %d is asked for", n)
		}
	}
}

// TestAttributesAskForTheirKeysAlone: also where keys have one length, or lengths that are alike modulo 64.
func TestAttributesAskForTheirKeysAlone(t *testing.T) {
	long := strings.Repeat("k", 65)
	keys := []string{"", "a", "b", long, "http.method", "ключ", strings.Repeat("k", 64), strings.Repeat("k", 45)}
	set := NewAttributes(keys...)
	if set.None() {
		t.Error("keys ask for none")
	}
	for _, key := range keys {
		read := string(append([]byte(nil), key...)) // as it would be read from a body
		found, ok := set.Find(read)
		if found != key || !ok || !set.HasLength(len(key)) {
			t.Errorf("%q: %q, %v", key, found, ok)
		}
		if unsafe.StringData(found) != unsafe.StringData(key) {
			t.Errorf("%q comes back in memory that is not the asker's", key)
		}
	}
	for _, other := range []string{"c", "A", "http.methoD", "http.method ", long[:63], long + "k", strings.Repeat("k", 129), "\x00"} {
		if found, ok := set.Find(other); ok || found != "" {
			t.Errorf("%q is not asked for: %q, %v", other, found, ok)
		}
	}
}

func TestDecodedIsFreedByItsLastHolder(t *testing.T) {
	var d Decoded
	for range 3 { // its memory is used again
		freed := 0
		d.Begin(func() { freed++ })
		d.Hold()
		d.Hold()
		for left := 2; left >= 0; left-- {
			if freed != 0 {
				t.Fatalf("freed with %d holders left", left+1)
			}
			d.Release()
		}
		if freed != 1 {
			t.Fatalf("freed %d times", freed)
		}
	}
}

// TestDecodedIsFreedOnceByWhomeverIsLast: every holder reads what free takes away; the race detector sees who comes late.
func TestDecodedIsFreedOnceByWhomeverIsLast(t *testing.T) {
	const rounds, holders = 200, 8
	for range rounds {
		var freed atomic.Int32
		d := &Decoded{Body: []byte("body")}
		d.Begin(func() {
			d.Body = nil
			freed.Add(1)
		})
		var wg sync.WaitGroup
		for range holders {
			d.Hold()
			wg.Go(func() {
				d.Hold()
				wg.Go(func() {
					if len(d.Body) == 0 {
						t.Error("freed while it is held")
					}
					d.Release()
				})
				if len(d.Body) == 0 {
					t.Error("freed while it is held")
				}
				d.Release()
			})
		}
		d.Release()
		wg.Wait()
		if freed.Load() != 1 {
			t.Fatalf("freed %d times", freed.Load())
		}
	}
}
