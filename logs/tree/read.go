package tree

import (
	"context"
	"errors"
	"os"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

// lineLimit bounds one line. It is far above an agent's: kubectl prints lines of any length.
const lineLimit = 64 << 20

// Read yields the wanted lines of an attempt up to its present end; a line that has no end yet is flagged Partial.
// Records are lent during yield, whose error ends Read and is returned.
func (c *Container) Read(ctx context.Context, a *Attempt, q Query, yield func(*telemetry.LogRecord) error) error {
	r := newReader(c, q, yield)
	defer r.close()
	return r.begin(ctx, a, true)
}

// A reader goes through one attempt after the other, and through the files of each.
type reader struct {
	container *Container
	query     Query
	yield     take

	restart  int
	live     string // path of the file that the attempt is written to
	scanner  *format.Scanner
	held     []source                  // open until hold is called again, or close
	at       source                    // the one of them that the scanner reads
	read     map[telemetry.FileID]bool // files of this attempt that need not be read again
	lastTime int64
	record   telemetry.LogRecord
}

// take is given a record for the time of the call.
type take func(*telemetry.LogRecord) error

func newReader(c *Container, q Query, yield take) *reader {
	return &reader{container: c, query: q, yield: yield}
}

func (r *reader) close() { closeAll(r.held) }

// hold keeps sources open in place of those held before.
func (r *reader) hold(sources []source) {
	closeAll(r.held)
	r.held, r.at = sources, source{}
}

// start makes the reader ready for the first file of an attempt.
func (r *reader) start(a *Attempt) {
	r.restart, r.live = a.Restart, a.live(r.container.dir)
	r.scanner, r.lastTime = format.NewScanner(r.container.format, lineLimit), 0
	r.record.Resource = &telemetry.Resource{
		Namespace: r.container.Namespace, Pod: r.container.Pod, PodUID: r.container.PodUID,
		Container: r.container.Name, ContainerID: a.containerID(), Restart: a.Restart,
	}
}

// begin yields what is wanted of an attempt and stops at the end of its last file, which stays open. final says that no
// more is to be expected of it: lines without an end are lines then.
func (r *reader) begin(ctx context.Context, a *Attempt, final bool) error {
	r.read = make(map[telemetry.FileID]bool)
	sources, err := r.container.openFiles(a, func(*source) bool { return true })
	if err != nil {
		return err
	}
	r.hold(sources)
	for i := range sources {
		r.read[sources[i].id] = true
	}
	r.start(a)
	if r.query.Tail >= 0 {
		return r.tail(ctx, a, final)
	}
	return r.pass(ctx, sources, final, r.emit)
}

// tail yields the last lines, and reads no older file than it must: files are tried from the newest on, until they hold
// enough. Two lines more than are wanted, since the first one of each stream may have begun in the file before.
func (r *reader) tail(ctx context.Context, a *Attempt, final bool) error {
	wanted := r.query.Tail
	r.query.Tail = All // of what follows
	var l last
	for first := len(r.held) - 1; first >= 0; first-- {
		r.start(a)
		l = last{size: wanted}
		keep := func(record *telemetry.LogRecord) error { l.add(record); return nil }
		if err := r.pass(ctx, r.held[first:], final, keep); err != nil {
			return err
		}
		if l.seen >= wanted+2 {
			break
		}
	}
	for _, record := range l.all() {
		if err := errors.Join(ctx.Err(), r.emit(&record)); err != nil {
			return err
		}
	}
	return nil
}

// emit yields a record unless it is too old.
func (r *reader) emit(record *telemetry.LogRecord) error {
	if record.UnixNano < r.query.FromUnixNano {
		return nil
	}
	return r.yield(record)
}

// pass reads files that follow each other and stops at the end of the last one.
func (r *reader) pass(ctx context.Context, sources []source, final bool, take take) error {
	for i := range sources {
		if err := r.next(ctx, sources[i], take); err != nil {
			return err
		}
	}
	if final {
		return r.end(take)
	}
	return nil
}

// next reads one more file of the attempt to its present end.
func (r *reader) next(ctx context.Context, s source, take take) error {
	file, err := s.reader()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	r.at = s
	r.scanner.Reset(file)
	return r.drain(ctx, take)
}

// drain reads to the present end of the open file.
func (r *reader) drain(ctx context.Context, take take) error {
	var line format.Record
	for r.scanner.Next(&line) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.take(&line, take); err != nil {
			return err
		}
	}
	return r.scanner.Err()
}

// end yields what has no end, because nothing more will come of this attempt.
func (r *reader) end(take take) error {
	if r.scanner == nil {
		return nil
	}
	var line format.Record
	for r.scanner.Rest(&line) {
		if err := r.take(&line, take); err != nil {
			return err
		}
	}
	return nil
}
