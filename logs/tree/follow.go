package tree

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/telemetry"
)

// Follow yields what [Container.Read] yields, then each line as it is written: over rotations, and into the attempts
// that come after a, until ctx ends (whose error it returns) or the pod's directory is gone (nil). It looks at the files
// each time `every` has passed: inotify would save the looking of a command that a person watches, at the price of a
// second way to miss a rotation.
//
// A line that has no end is held back until it has one, or until its attempt is over.
func (c *Container) Follow(ctx context.Context, a *Attempt, q Query, every time.Duration, yield func(*telemetry.LogRecord) error) error {
	f := &follower{reader: newReader(c, q, yield)}
	defer f.close()
	if err := f.begin(ctx, a, false); err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !f.over {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := f.poll(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A follower is a reader that waits for more.
type follower struct {
	*reader
	moved bool // the open file was not the newest any more when it was last looked at
	over  bool
}

// poll reads what has come. A file that was renamed is read once more one turn later, before the next file: its writer
// may hold it for a moment after the rename.
func (f *follower) poll(ctx context.Context) error {
	if f.scanner != nil {
		if err := f.drain(ctx, f.emit); err != nil {
			return err
		}
	}
	if !f.moved {
		moved, err := f.hasMoved()
		f.moved = moved
		return err
	}
	f.moved = false
	return f.advance(ctx)
}

// hasMoved reports whether there is something else to read than the open file.
func (f *follower) hasMoved() (bool, error) {
	entries, err := os.ReadDir(f.container.dir)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		live, ok := strings.CutSuffix(e.Name(), ".log")
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(live); err == nil && n > f.restart {
			return true, nil
		}
	}
	return f.isOther(f.live), nil
}

// isOther reports whether path exists and is not the file that is open.
func (f *follower) isOther(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if f.at.plain == nil {
		return true
	}
	open, err := f.at.plain.Stat()
	return err == nil && !os.SameFile(info, open)
}

// advance goes on to the files that came after the open one: of its attempt, then of the attempts after it.
func (f *follower) advance(ctx context.Context) error {
	if f.at.plain != nil && f.at.id.IsZero() {
		if err := f.at.identify(); err != nil {
			return err
		}
		f.read[f.at.id] = true
	}
	now, err := f.container.relist()
	if err != nil {
		return err
	}
	for _, a := range now.from(f.restart) {
		if a.Restart == f.restart {
			err = f.rest(ctx, &a)
		} else {
			err = errors.Join(f.end(f.emit), f.begin(ctx, &a, false))
		}
		if err != nil {
			return err
		}
	}
	if _, err := os.Stat(f.container.dir); errors.Is(err, os.ErrNotExist) {
		f.over = true
		return f.end(f.emit)
	}
	return nil
}

// rest reads the files of the present attempt that were not read yet.
func (f *follower) rest(ctx context.Context, a *Attempt) error {
	sources, err := f.container.openFiles(a, func(s *source) bool {
		if s.id.IsZero() {
			return s.Kind == tail.Live && f.isOther(s.Path)
		}
		return !f.read[s.id]
	})
	if err != nil || len(sources) == 0 {
		return err
	}
	f.hold(sources)
	for i := range sources {
		f.read[sources[i].id] = true
	}
	return f.pass(ctx, sources, false, f.emit)
}
