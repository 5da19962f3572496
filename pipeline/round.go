package pipeline

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// A round is what a Delivery does with the frames of one read. It lives as long as Run.
type round struct {
	d      *Delivery
	c      *Cursor
	sink   telemetry.Sink
	logger *slog.Logger

	marks  *Marks
	replay *Marks // judges replayed frames, which the marks have all seen
	// unfinished: the marks and observers have seen frames of a round whose write has not ended well.
	unfinished bool

	decoders []*decoder         // by place in the write
	spare    spare              // decoders that come back from who follows
	first    int                // the frame that the write to come begins with
	batches  []*telemetry.Batch // of the frames from first on, for one Write
	ends     []int              // where each of these frames' batches end
	states   []byte             // what was committed last
}

func newRound(d *Delivery) (*round, error) {
	if d.MaxBodyBytes <= 0 {
		d.MaxBodyBytes = defaultBody
	}
	if d.MaxBatch <= 0 {
		d.MaxBatch = defaultBatch
	}
	r := &round{d: d, c: d.Cursor, logger: d.Logger, marks: NewMarks(), replay: NewMarks()}
	if r.logger == nil {
		r.logger = d.Cursor.q.options.Logger
	}
	if d.Sink != nil {
		r.sink = Retry(d.Sink, RetryOptions{Name: d.Cursor.Name(), Logger: r.logger})
	}
	return r, r.restore(d.Cursor.State())
}

// deliver takes frames through everything. An error means that ctx has ended before all were done.
func (r *round) deliver(ctx context.Context, frames []telemetry.Frame) error {
	r.marks.begin()
	r.replay.begin()
	r.unfinished = true
	r.next(0)
	size := 0
	for i := range frames {
		f := &frames[i]
		batches, n, err := r.decode(r.decoder(i-r.first), f)
		if err == nil {
			err = r.observe(batches, r.c.Replayed(f.Position))
		}
		if err == nil && !r.c.Replayed(f.Position) {
			batches, err = r.edit(batches)
		}
		switch {
		case err != nil:
			r.c.quarantine(f, err)
		case r.sink != nil && !r.c.Replayed(f.Position):
			r.batches = append(r.batches, batches...)
			size += n
		}
		r.ends = append(r.ends, len(r.batches))
		if size >= r.d.MaxBatch || i+1 == len(frames) {
			if err := r.write(ctx, frames[r.first:i+1]); err != nil {
				return err
			}
			r.hand(frames[r.first : i+1])
			r.next(i + 1)
			size = 0
		}
	}
	r.unfinished = false
	return nil
}

// next begins another write.
func (r *round) next(first int) {
	clear(r.batches)
	r.first, r.batches, r.ends = first, r.batches[:0], r.ends[:0]
}

// decoder returns the one for a frame's place in the write: its batches live until the write is over. Without a sink they
// are done with at once.
func (r *round) decoder(slot int) *decoder {
	if r.sink == nil {
		slot = 0
	}
	for slot >= len(r.decoders) {
		r.decoders = append(r.decoders, nil)
	}
	if r.decoders[slot] == nil {
		r.decoders[slot] = r.spare.get(r.d.Only)
	}
	return r.decoders[slot]
}

// decode returns the new records of f, and the size of its decompressed body.
func (r *round) decode(d *decoder, f *telemetry.Frame) ([]*telemetry.Batch, int, error) {
	marks, replayed := r.marks, r.c.Replayed(f.Position)
	if replayed {
		marks = r.replay
	}
	isNew := marks.Frame(f)
	d.whole = false // as long as d still has another frame
	batches, invalid, err := d.decode(f, r.c.q.id, r.d.MaxBodyBytes)
	if err != nil && isNew {
		return nil, 0, fmt.Errorf("cannot decode the frame: %w", err)
	}
	kept, repeats, records := batches[:0], 0, 0
	for _, b := range batches {
		if isNew {
			repeats += marks.Batch(b)
		} else {
			repeats += b.Len()
			continue
		}
		if n := b.Len(); n > 0 {
			records += n
			kept = append(kept, b)
		}
	}
	d.whole = err == nil && len(kept) == len(batches) && repeats == 0 && len(r.d.Stages) == 0 && f.Compression != telemetry.Identity
	d.lent.Body, d.lent.Batches, d.lent.Only = d.body, batches, d.only
	if replayed {
		r.c.metrics.replayed.Add(float64(records))
	} else {
		r.c.metrics.duplicate.Add(float64(repeats))
		r.c.metrics.badSeries.Add(float64(invalid))
		r.c.metrics.delivered.Add(float64(records))
	}
	return kept, d.size, nil
}

// observe shows batches to every observer. A panic is a bug that one frame has hit; the rest of the lane goes on.
func (r *round) observe(batches []*telemetry.Batch, replayed bool) (err error) {
	if len(r.d.Observers) == 0 {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("an observer panicked: %v", p)
		}
	}()
	for _, o := range r.d.Observers {
		for _, b := range batches {
			o.Observe(b, replayed)
		}
	}
	return nil
}

// edit takes batches through the stages and returns those that have records left. A panic is a bug that one frame has
// hit, as in observe.
func (r *round) edit(batches []*telemetry.Batch) (left []*telemetry.Batch, err error) {
	if len(r.d.Stages) == 0 {
		return batches, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a stage panicked: %v", p)
		}
	}()
	left, dropped := batches[:0], 0
	for _, b := range batches {
		before := b.Len()
		for _, stage := range r.d.Stages {
			stage(b)
		}
		dropped += before - b.Len()
		if b.Len() > 0 {
			left = append(left, b)
		}
	}
	r.c.metrics.staged.Add(float64(dropped))
	return left, nil
}

// write sends the batches of frames. A permanent error is traced to its frames, one by one.
func (r *round) write(ctx context.Context, frames []telemetry.Frame) error {
	err := r.send(ctx, r.batches)
	if !telemetry.IsPermanent(err) {
		return err
	}
	if len(frames) == 1 {
		r.c.quarantine(&frames[0], err)
		return nil
	}
	begin := 0
	for i, end := range r.ends {
		err := r.send(ctx, r.batches[begin:end])
		if telemetry.IsPermanent(err) {
			r.c.quarantine(&frames[i], err)
		} else if err != nil {
			return err
		}
		begin = end
	}
	return nil
}

func (r *round) send(ctx context.Context, batches []*telemetry.Batch) error {
	if len(batches) == 0 || r.sink == nil {
		return nil
	}
	disk.Point("delivery.before-write")
	err := r.sink.Write(ctx, batches)
	disk.Point("delivery.after-write")
	return err
}

const stateVersion = 1

// state is what is committed with the position: the version, the marks, and each observer's snapshot, each with its
// length. It is lent until the next call.
func (r *round) state() []byte {
	disk.Point("observe.snapshot.before")
	if cap(r.states) > 4*len(r.states) { // they have become small
		r.states = nil
	}
	b := append(r.states[:0], stateVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(r.d.Observers)))
	b = appendBlob(b, r.marks.AppendSnapshot)
	for _, o := range r.d.Observers {
		b = appendBlob(b, o.AppendSnapshot)
	}
	r.states = b
	disk.Point("observe.snapshot.after")
	return b
}

// appendBlob appends what a snapshot appends, with its length in front.
func appendBlob(b []byte, snapshot func([]byte) []byte) []byte {
	at := len(b)
	b = snapshot(append(b, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func cutBlob(b []byte) (blob, rest []byte, err error) {
	if len(b) < 4 || uint64(len(b)-4) < uint64(binary.LittleEndian.Uint32(b)) {
		return nil, nil, disk.ErrCorrupt
	}
	n := binary.LittleEndian.Uint32(b)
	return b[4 : 4+n], b[4+n:], nil
}

// restore reads what state has written. Observers that are new since then start empty; snapshots of observers that are
// gone are dropped.
func (r *round) restore(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if b[0] != stateVersion {
		return fmt.Errorf("its state has version %d, this braid reads %d: %w", b[0], stateVersion, disk.ErrVersion)
	}
	if len(b) < 3 {
		return disk.ErrCorrupt
	}
	observers := int(binary.LittleEndian.Uint16(b[1:]))
	blob, b, err := cutBlob(b[3:])
	if err == nil {
		err = r.marks.Restore(blob)
	}
	for i := 0; err == nil && i < observers; i++ {
		if blob, b, err = cutBlob(b); err == nil && i < len(r.d.Observers) {
			err = r.d.Observers[i].Restore(blob)
		}
	}
	return err
}
