package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/braidhq/braid/bench/configs"
	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/report"
	"github.com/braidhq/braid/bench/sink"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	"github.com/braidhq/braid/wire/otlp"
)

// post sends the spans to the system.
func (r *attempt) post(ctx context.Context, spans *input.Spans) error {
	if err := r.listens(ctx, r.values.Receive); err != nil {
		return err
	}
	refused, err := spans.Post(ctx, "http://"+r.values.Receive+"/v1/traces", r.b.spans)
	if err != nil {
		return err
	}
	if refused > 0 {
		fmt.Fprintf(os.Stderr, "(%d requests were pushed back) ", refused)
	}
	return nil
}

// posted starts the system, with a sink that takes so, and sends it all spans.
func (b *bench) posted(ctx context.Context, w *work, s system, take sink.Take) (*attempt, *input.Spans, error) {
	r, err := b.start(ctx, w, s, configs.Values{}, take)
	if err != nil {
		return nil, nil, err
	}
	spans := input.NewSpans(seed, time.Now())
	if err := r.post(ctx, spans); err != nil {
		return nil, nil, errors.Join(err, r.close())
	}
	return r, spans, nil
}

// red is the work from pushed spans to remote-written span metrics (braid: and the service graph).
func (b *bench) red(ctx context.Context, w *work, s system) (report.Result, error) {
	var got sink.Calls
	r, spans, err := b.posted(ctx, w, s, sink.Take{Samples: got.Take})
	if err != nil {
		return report.Result{}, err
	}
	defer r.close()
	if err := r.has(ctx, spans.Made(), got.Len); err != nil {
		return report.Result{}, err
	}
	return r.spansResult(spans, func() error { return got.Check(spans.Calls) })
}

// received is the floor of taking spans: all requests answered, and kept.
func (b *bench) received(ctx context.Context, w *work, s system) (report.Result, error) {
	r, spans, err := b.posted(ctx, w, s, sink.Take{})
	if err != nil {
		return report.Result{}, err
	}
	defer r.close()
	result, err := r.cost()
	if err != nil {
		return result, err
	}
	result.Units = float64(spans.Made()) / 1e6
	got, err := countKept(keptFile(r.dir))
	if err == nil && got != spans.Made() {
		err = fmt.Errorf("%d spans were kept of %d", got, spans.Made())
	}
	return result, errors.Join(err, r.finish())
}

// countKept counts the spans in what the floor has kept.
func countKept(path string) (spans int, err error) {
	kept, err := os.ReadFile(path)
	for err == nil && len(kept) > 4 {
		n := 4 + int(binary.LittleEndian.Uint32(kept))
		var body []byte
		if body, err = compression.Decompress(body, kept[4:min(n, len(kept))], telemetry.Snappy, 1<<30); err == nil {
			var more int
			more, err = otlp.CountSpans(body)
			spans += more
			kept = kept[min(n, len(kept)):]
		}
	}
	return spans, err
}

// kept is what the samplers under comparison are configured to keep.
var kept = sink.Rule{Must: func(t input.Trace) bool { return t.Error || t.Took > 700*time.Millisecond }, Share: 0.1}

// quiet is how long nothing may come before a sampler is taken to be done with what it keeps by chance.
const quiet = 15 * time.Second

// tail is the work from pushed spans to those of the traces that are kept.
func (b *bench) tail(ctx context.Context, w *work, s system) (report.Result, error) {
	var got sink.Traces
	r, spans, err := b.posted(ctx, w, s, sink.Take{Spans: got.Take})
	if err != nil {
		return report.Result{}, err
	}
	defer r.close()
	last, since := -1, time.Now()
	err = r.until(ctx, func() (ok bool, now int) {
		r.sink.Do(func() {
			now = got.Len()
			if now != last {
				last, since = now, time.Now()
			}
			ok = time.Since(since) > quiet && now > 0 && got.Missing(spans.Traces, kept) == 0
		})
		return ok, now
	})
	if err != nil {
		return report.Result{}, err
	}
	return r.spansResult(spans, func() error { return got.Check(spans.Traces, kept) })
}

func (r *attempt) spansResult(spans *input.Spans, check func() error) (report.Result, error) {
	result, err := r.cost()
	if err != nil {
		return result, err
	}
	result.Units = float64(spans.Made()) / 1e6
	if err := r.finish(); err != nil {
		return result, err
	}
	return result, check()
}
