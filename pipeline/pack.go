package pipeline

import (
	"context"
	"slices"
	"sync"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

// packFrom is the size from which on a body is worth compressing.
const packFrom = 1 << 10

// Pack returns an appender that compresses bodies which came as they are, and hands everything on to next. Most senders of
// OTLP do not compress; what they send is written, synced and read several times, and lies on the disk until every cursor
// has passed. It may be used concurrently. Its errors are those of next.
func Pack(next telemetry.Appender, c telemetry.Compression) telemetry.Appender {
	return &pack{next: next, compression: c}
}

type pack struct {
	next        telemetry.Appender
	compression telemetry.Compression
	scratch     sync.Pool // *packed
}

type packed struct {
	frames []telemetry.Frame
	bodies [][]byte
}

// Append implements [telemetry.Appender].
func (p *pack) Append(ctx context.Context, frames []telemetry.Frame) error {
	if !slices.ContainsFunc(frames, packable) {
		return p.next.Append(ctx, frames)
	}
	s, ok := p.scratch.Get().(*packed)
	if !ok {
		s = &packed{}
	}
	defer func() {
		clear(s.frames)
		s.frames = s.frames[:0]
		p.scratch.Put(s)
	}()
	for i := range frames {
		f := frames[i]
		if packable(f) {
			if len(s.bodies) <= i {
				s.bodies = append(s.bodies, make([][]byte, i+1-len(s.bodies))...)
			}
			if cap(s.bodies[i]) > keepBody {
				s.bodies[i] = nil
			}
			s.bodies[i] = compression.Compress(s.bodies[i][:0], f.Body, p.compression)
			f.Body, f.Compression = s.bodies[i], p.compression
		}
		s.frames = append(s.frames, f)
	}
	return p.next.Append(ctx, s.frames)
}

func packable(f telemetry.Frame) bool {
	return f.Encoding == telemetry.OTLP && f.Compression == telemetry.Identity && len(f.Body) >= packFrom
}
