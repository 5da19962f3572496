package listen

import (
	"bytes"
	"slices"
	"sync"
	"time"
)

// lookEvery is how often at most watched files are read again.
const lookEvery = time.Second

// A watched is what some small files say. They are read when the value is asked for, once a second at most, and compared
// as a whole: modification times were rejected, since a file that is written twice within a tick of its file system's
// clock looks unchanged, and notifications, since they miss what a mounted Secret does by links. A state that cannot be
// read or makes no sense is passed by, and the one before stays.
type watched[T any] struct {
	read   func() ([][]byte, error)
	parse  func([][]byte) (T, error)
	report func(value T, err error) // a new state was taken, or passed by; each is told once
	now    func() time.Time

	mu      sync.Mutex
	looked  time.Time
	texts   [][]byte
	value   T
	failure string
}

// open reads the files for the first time, when they must make sense.
func (w *watched[T]) open() error {
	texts, err := w.read()
	if err != nil {
		return err
	}
	if w.value, err = w.parse(texts); err != nil {
		return err
	}
	w.texts, w.looked = texts, w.now()
	return nil
}

func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); now.Sub(w.looked) >= lookEvery {
		w.looked = now
		w.look()
	}
	return w.value
}

func (w *watched[T]) look() {
	texts, err := w.read()
	if err == nil && slices.EqualFunc(texts, w.texts, bytes.Equal) {
		w.failure = ""
		return
	}
	var value T
	if err == nil {
		value, err = w.parse(texts)
	}
	if err != nil {
		if err.Error() != w.failure {
			w.failure = err.Error()
			w.report(w.value, err)
		}
		return
	}
	w.failure, w.texts, w.value = "", texts, value
	w.report(value, nil)
}
