package run

import (
	"context"
	"errors"
)

// A Slot holds one part of a stage at a time, so that a reload can end it and start another in its place. Its methods
// belong to one goroutine.
type Slot struct {
	name  string
	stage *Stage
	stop  context.CancelFunc // nil: empty
	done  chan struct{}
}

// Slot returns an empty slot.
func (s *Stage) Slot(name string) *Slot { return &Slot{name: name, stage: s} }

// Go runs part in the slot, which must be empty. An error of part stops the whole group, unless it was told to end.
func (s *Slot) Go(part func(ctx context.Context) error) {
	if s.stop != nil {
		panic("BUG: slot " + s.name + " is taken")
	}
	ctx, stop := context.WithCancel(s.stage.Context())
	done := make(chan struct{})
	s.stop, s.done = stop, done
	s.stage.Go(s.name, func(context.Context) error {
		defer close(done)
		err := part(ctx)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
}

// Empty ends what runs in the slot and waits for it.
func (s *Slot) Empty() {
	if s.stop == nil {
		return
	}
	s.stop()
	<-s.done
	s.stop = nil
}
