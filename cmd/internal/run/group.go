package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// StopWithin is how long a verb may take to flush, sync and exit once it is told to stop.
const StopWithin = 25 * time.Second

// A Group runs the parts of a verb. The first part that fails stops the others. Stages stop in reverse order of Stage
// calls: what was started last (intake) has ended before what was started first (delivery) is told to end.
type Group struct {
	stages []*stage
	failed chan error
}

type stage struct {
	ctx    context.Context
	cancel context.CancelFunc
	parts  sync.WaitGroup
}

// NewGroup returns an empty group.
func NewGroup() *Group { return &Group{failed: make(chan error, 1)} }

// A Stage starts parts that stop together.
type Stage struct {
	group *Group
	stage *stage
}

// Stage opens a new stage. Its parts' context does not end with any caller's: only Wait ends it.
func (g *Group) Stage() *Stage {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stage{ctx: ctx, cancel: cancel}
	g.stages = append(g.stages, s)
	return &Stage{g, s}
}

// Context ends when the stage is told to stop.
func (s *Stage) Context() context.Context { return s.stage.ctx }

// Go runs part; an error that is not the context's end stops the whole group.
func (s *Stage) Go(name string, part func(ctx context.Context) error) {
	s.stage.parts.Go(func() {
		err := part(s.stage.ctx)
		if err == nil || (errors.Is(err, context.Canceled) && s.stage.ctx.Err() != nil) {
			return
		}
		select {
		case s.group.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	})
}

// Wait blocks until ctx ends or a part fails, then stops the stages, last first, and returns the failure. Stages that
// have not ended within the deadline are left behind.
func (g *Group) Wait(ctx context.Context, deadline time.Duration) error {
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-g.failed:
	}
	timeout := time.After(deadline)
	for i := len(g.stages) - 1; i >= 0; i-- {
		g.stages[i].cancel()
		ended := make(chan struct{})
		go func() { g.stages[i].parts.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-timeout:
			return errors.Join(failure, fmt.Errorf("did not stop within %v", deadline))
		}
	}
	select {
	case late := <-g.failed:
		failure = errors.Join(failure, late)
	default:
	}
	return failure
}
