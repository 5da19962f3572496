package pipeline

import (
	"context"
	"sync"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	"github.com/braidhq/braid/wire/otlp"
	"github.com/braidhq/braid/wire/remotewrite"
)

// Encode returns a sink that encodes batches into one frame per tenant and signal (OTLP in zstd, remote-write 2.0 in
// snappy) and appends them to next. It may be used concurrently. Its errors are those of next.
func Encode(next telemetry.Appender) telemetry.Sink { return &encode{next: next} }

type encode struct {
	next    telemetry.Appender
	scratch sync.Pool // *encodings
}

// encodings is the memory of one Write.
type encodings struct {
	logs, spans []*telemetry.Batch
	samples     []telemetry.Sample
	received    int64 // the newest receive time, if there is one
	tables      remotewrite.Encoder
	raw         []byte
	bodies      [len(telemetry.Signals)][]byte
	frames      []telemetry.Frame
}

// Write implements [telemetry.Sink].
func (e *encode) Write(ctx context.Context, batches []*telemetry.Batch) error {
	s, ok := e.scratch.Get().(*encodings)
	if !ok {
		s = &encodings{}
	}
	defer func() {
		s.release()
		e.scratch.Put(s)
	}()
	for len(batches) > 0 {
		// Neighbours of one tenant, which is nearly always all of them.
		n := 1
		for n < len(batches) && batches[n].Tenant == batches[0].Tenant {
			n++
		}
		s.release()
		s.encode(batches[:n])
		if err := e.next.Append(ctx, s.frames); err != nil {
			return err
		}
		batches = batches[n:]
	}
	return nil
}

func (s *encodings) encode(batches []*telemetry.Batch) {
	for _, b := range batches {
		s.received = max(s.received, b.ReceivedUnixNano)
		if len(b.Logs) > 0 {
			s.logs = append(s.logs, b)
		}
		if len(b.Spans) > 0 {
			s.spans = append(s.spans, b)
		}
		s.samples = append(s.samples, b.Samples...)
	}
	if len(s.logs) > 0 {
		s.raw = otlp.AppendLogs(s.raw[:0], s.logs)
		s.add(telemetry.Logs, telemetry.OTLP, telemetry.Zstd)
	}
	if len(s.spans) > 0 {
		s.raw = otlp.AppendSpans(s.raw[:0], s.spans)
		s.add(telemetry.Spans, telemetry.OTLP, telemetry.Zstd)
	}
	if len(s.samples) > 0 {
		s.raw = s.tables.AppendV2(s.raw[:0], s.samples)
		s.add(telemetry.Samples, telemetry.RemoteWrite2, telemetry.Snappy)
	}
	for i := range s.frames {
		s.frames[i].Tenant = batches[0].Tenant
	}
}

func (s *encodings) add(signal telemetry.Signal, e telemetry.Encoding, c telemetry.Compression) {
	body := &s.bodies[laneIndex(signal)]
	*body = compression.Compress((*body)[:0], s.raw, c)
	s.frames = append(s.frames, telemetry.Frame{Signal: signal, Encoding: e, Compression: c, Body: *body, ReceivedUnixNano: s.received})
}

// release lets go of what was lent; next is done with the bodies when Append has returned.
func (s *encodings) release() {
	clear(s.logs)
	clear(s.spans)
	clear(s.samples)
	clear(s.frames)
	s.received = 0
	s.logs, s.spans, s.samples, s.frames = s.logs[:0], s.spans[:0], s.samples[:0], s.frames[:0]
}
