package pipeline

import (
	"fmt"
	"time"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	"github.com/braidhq/braid/wire/otlp"
	"github.com/braidhq/braid/wire/remotewrite"
)

// keepBody is how large a decompressed body may be for its buffer to be kept.
const keepBody = 8 << 20

// A decoder turns one frame into batches, which are lent until its next frame.
type decoder struct {
	first   *decoder // that of the same round whose interned series and resources this one shares; nil: itself
	only    *telemetry.Attributes
	otlp    *otlp.Decoder
	rw      *remotewrite.Decoder
	body    []byte // the buffer
	size    int    // of the decompressed body
	samples telemetry.Batch
	batches [1]*telemetry.Batch
	lent    telemetry.Decoded // the frame, for another cursor
	whole   bool              // no record of it is left out or edited, and it lies in memory of its own
}

// decode returns the batches of f with what the queue knows of them, and how many series were left out as invalid.
// limit bounds the body after decompression.
func (d *decoder) decode(f *telemetry.Frame, queue telemetry.QueueID, limit int) (batches []*telemetry.Batch, invalid int, err error) {
	body := f.Body
	if f.Decoded != nil && f.Decoded.Only == d.only {
		d.size = len(body)
		label(f.Decoded.Batches, f, queue)
		return f.Decoded.Batches, 0, nil
	}
	if f.Compression != telemetry.Identity {
		if cap(d.body) > keepBody {
			d.body = nil
		}
		body, err = compression.Decompress(d.body, f.Body, f.Compression, limit)
		if err != nil {
			return nil, 0, err
		}
		d.body = body
	}
	d.size = len(body)
	switch {
	case f.Encoding == telemetry.OTLP && f.Signal != telemetry.Samples:
		batches, err = d.decodeOTLP(f.Signal, body)
	case f.Encoding != telemetry.OTLP && f.Signal == telemetry.Samples:
		batches, invalid, err = d.decodeSamples(f.Encoding, body)
	default:
		err = fmt.Errorf("encoding %d is none of %s", f.Encoding, f.Signal)
	}
	if err != nil {
		return nil, 0, err
	}
	label(batches, f, queue)
	return batches, invalid, nil
}

// fork returns a decoder of remote-write: decoders of one round see the same series again and again.
func (d *decoder) fork() *remotewrite.Decoder {
	if d.first == nil {
		return remotewrite.NewDecoder()
	}
	if d.first.rw == nil {
		d.first.rw = remotewrite.NewDecoder()
	}
	return d.first.rw.Fork()
}

// forkOTLP is fork for OTLP, where it is resources that are seen again.
func (d *decoder) forkOTLP() *otlp.Decoder {
	if d.first != nil && d.first.otlp != nil {
		return d.first.otlp.Fork()
	}
	made := otlp.NewDecoder()
	made.Only(d.only)
	made.Trust() // whoever has appended it has checked it
	return made
}

func (d *decoder) decodeOTLP(signal telemetry.Signal, body []byte) ([]*telemetry.Batch, error) {
	if d.otlp == nil {
		d.otlp = d.forkOTLP()
	}
	if signal == telemetry.Logs {
		return d.otlp.Logs(body)
	}
	return d.otlp.Spans(body)
}

func (d *decoder) decodeSamples(encoding telemetry.Encoding, body []byte) (_ []*telemetry.Batch, invalid int, err error) {
	if d.rw == nil {
		d.rw = d.fork()
	}
	var samples []telemetry.Sample
	switch encoding {
	case telemetry.RemoteWrite1:
		samples, err = d.rw.V1(body)
	case telemetry.RemoteWrite2:
		samples, err = d.rw.V2(body)
	default:
		err = fmt.Errorf("unknown encoding %d of samples", encoding)
	}
	if err != nil {
		return nil, 0, err
	}
	d.samples = telemetry.Batch{Samples: samples}
	d.batches[0] = &d.samples
	return d.batches[:], d.rw.Skipped(), nil
}

// future is how far ahead of its receive time a line's own may lie and not be flagged.
const future = int64(10 * time.Minute)

// label gives batches their place in the queue, flags lines from the future, and gives records without a UID the one of the
// queue that first stored them: the frame's origin if it came out of another queue, so that a frame taken twice has the same
// UIDs twice.
func label(batches []*telemetry.Batch, f *telemetry.Frame, queue telemetry.QueueID) {
	position := f.Position
	if f.Origin != (telemetry.QueueID{}) {
		queue, position = f.Origin, f.Sequence
	}
	index := 0
	for _, b := range batches {
		b.Tenant, b.ReceivedUnixNano, b.FramePosition, b.FirstIndex = f.Tenant, f.ReceivedUnixNano, f.Position, index
		for i := range b.Logs {
			l := &b.Logs[i]
			if l.UID.IsZero() {
				l.UID = telemetry.QueueUID(queue, position, index+i)
			}
			if l.UnixNano > f.ReceivedUnixNano+future {
				l.Flags |= telemetry.Future
			}
		}
		for i := range b.Spans {
			if b.Spans[i].UID.IsZero() {
				b.Spans[i].UID = telemetry.QueueUID(queue, position, index+i)
			}
		}
		index += b.Len()
	}
}
