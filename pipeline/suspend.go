package pipeline

import "errors"

// Suspend closes every cursor, and until [Queue.Resume] no segment goes: whoever opens the cursors again goes on where they
// had committed. A lane that fills up meanwhile turns its senders away.
func (q *Queue) Suspend() error {
	q.suspended.Store(true)
	var errs []error
	for _, l := range q.lanes {
		for _, c := range l.opened() {
			if err := c.Close(); err != nil && !errors.Is(err, ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Resume ends [Queue.Suspend], once the cursors that count are open again.
func (q *Queue) Resume() { q.suspended.Store(false) }
