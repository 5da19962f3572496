package otlp

import (
	"context"
	"errors"
	"slices"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	wire "github.com/braidhq/braid/wire/otlp"
)

// keepBytes is the size above which a buffer is left to the garbage collector.
const keepBytes = 4 << 20

type buffers struct{ plain, packed []byte }

// Write sends the logs and the spans of batches, one request for each signal and tenant. If one of them fails, all
// batches must be written again.
func (e *Exporter) Write(ctx context.Context, batches []*telemetry.Batch) error {
	for _, b := range batches {
		if len(b.Samples) > 0 {
			return telemetry.Permanent(errors.New("cannot send samples by OTLP"))
		}
	}
	var refused error
	for _, s := range [...]telemetry.Signal{telemetry.Logs, telemetry.Spans} {
		for _, group := range groups(batches, s) {
			err := e.writeGroup(ctx, s, group)
			if err != nil && !telemetry.IsPermanent(err) {
				return err
			}
			if refused == nil {
				refused = err
			}
		}
	}
	return refused
}

// groups returns the batches that have records of s, by tenant, in order.
func groups(batches []*telemetry.Batch, s telemetry.Signal) [][]*telemetry.Batch {
	var all [][]*telemetry.Batch
	for _, b := range batches {
		if (s == telemetry.Logs && len(b.Logs) == 0) || (s == telemetry.Spans && len(b.Spans) == 0) {
			continue
		}
		i := slices.IndexFunc(all, func(g []*telemetry.Batch) bool { return g[0].Tenant == b.Tenant })
		if i < 0 {
			i = len(all)
			all = append(all, make([]*telemetry.Batch, 0, len(batches)))
		}
		all[i] = append(all[i], b)
	}
	return all
}

func (e *Exporter) writeGroup(ctx context.Context, s telemetry.Signal, group []*telemetry.Batch) error {
	b := e.buffers.Get().(*buffers)
	defer func() {
		if cap(b.plain) <= keepBytes {
			e.buffers.Put(b)
		}
	}()
	if s == telemetry.Logs {
		b.plain = wire.AppendLogs(b.plain[:0], group)
	} else {
		b.plain = wire.AppendSpans(b.plain[:0], group)
	}
	f := telemetry.Frame{Signal: s, Encoding: telemetry.OTLP, Tenant: group[0].Tenant, Body: b.plain}
	if e.compression != telemetry.Identity {
		b.packed = compression.Compress(b.packed[:0], b.plain, e.compression)
		f.Compression, f.Body = e.compression, b.packed
	}
	return e.send(ctx, &f)
}
