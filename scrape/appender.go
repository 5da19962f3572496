package scrape

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/braidhq/braid/telemetry"
)

const (
	// maxBatchSamples bounds a batch, and with it what a Sink encodes at a time.
	maxBatchSamples = 5_000
	// commitTimeout bounds how long one scrape waits for the Sink; after it the scrape is dropped.
	commitTimeout = 30 * time.Second
)

// An appendable makes the appenders of one run. It implements storage.AppendableV2.
type appendable struct {
	ctx     context.Context // of all writes: outlives the run's end, so that scrapes under way are still stored
	next    telemetry.Sink
	series  *table
	metrics *metrics
	pool    sync.Pool

	mu   sync.Mutex
	open int
	idle chan struct{} // closed when open falls to 0, if someone waits
}

func newAppendable(ctx context.Context, next telemetry.Sink, series *table, m *metrics) *appendable {
	a := &appendable{ctx: ctx, next: next, series: series, metrics: m}
	a.pool.New = func() any { return &appender{owner: a} }
	return a
}

// AppenderV2 returns an appender for one scrape.
func (a *appendable) AppenderV2(context.Context) storage.AppenderV2 {
	a.mu.Lock()
	a.open++
	a.mu.Unlock()
	return a.pool.Get().(*appender)
}

func (a *appendable) done(p *appender) {
	p.reset()
	a.pool.Put(p)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open--; a.open == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// wait returns when no appender is open.
func (a *appendable) wait() {
	a.mu.Lock()
	if a.open == 0 {
		a.mu.Unlock()
		return
	}
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	idle := a.idle
	a.mu.Unlock()
	<-idle
}

// An appender collects the samples of one scrape. It implements storage.AppenderV2.
type appender struct {
	owner    *appendable
	samples  []telemetry.Sample
	entries  []*entry // of samples, index by index
	batches  []telemetry.Batch
	pointers []*telemetry.Batch
}

// reset gives up everything the appender points to and keeps its memory.
func (p *appender) reset() {
	clear(p.samples)
	clear(p.entries)
	clear(p.batches)
	p.samples, p.entries, p.batches, p.pointers = p.samples[:0], p.entries[:0], p.batches[:0], p.pointers[:0]
}

// Append implements storage.AppenderV2. Like Prometheus' agent it refuses a sample that is not newer than the last
// committed one of its series: staleness markers of a target that came back in the meantime fail by that.
func (p *appender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64,
	h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AppendV2Options) (storage.SeriesRef, error) {
	var err error
	switch {
	case fh != nil:
		err = fh.Validate()
	case h != nil:
		err = h.Validate()
	}
	if err != nil {
		return 0, err
	}
	table := p.owner.series
	table.mu.Lock()
	defer table.mu.Unlock()
	e, err := table.find(ref, ls)
	if err != nil {
		return 0, err
	}
	if t <= e.lastMilli {
		p.owner.metrics.outOfOrder.Inc()
		return 0, storage.ErrOutOfOrderSample
	}
	e.describe(o.Metadata)
	var exemplars []exemplar.Exemplar
	if len(o.Exemplars) > 0 && !stale(v, h, fh) {
		exemplars = e.fresh(nil, o.Exemplars)
	}
	p.entries = append(p.entries, e)
	p.samples = append(p.samples, telemetry.Sample{
		Series: e.series, UnixMilli: t, StartUnixMilli: st, Value: v, Histogram: h, FloatHistogram: fh, Exemplars: exemplars,
	})
	return e.ref, nil
}

func stale(v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) bool {
	switch {
	case fh != nil:
		return value.IsStaleNaN(fh.Sum)
	case h != nil:
		return value.IsStaleNaN(h.Sum)
	}
	return value.IsStaleNaN(v)
}

// Commit writes the scrape in one call.
func (p *appender) Commit() error {
	defer p.owner.done(p)
	if len(p.samples) == 0 {
		return nil
	}
	p.split()
	ctx, cancel := context.WithTimeout(p.owner.ctx, commitTimeout)
	defer cancel()
	n := float64(len(p.samples))
	// The Sink may edit what it is lent, so the times are taken before.
	p.owner.series.advance(p.entries, p.samples)
	if err := p.owner.next.Write(ctx, p.pointers); err != nil {
		p.owner.metrics.dropped.Add(n)
		return fmt.Errorf("cannot store a scrape of %d samples: %w", len(p.samples), errors.Join(err, context.Cause(ctx)))
	}
	p.owner.metrics.samples.Add(n)
	return nil
}

// Rollback forgets the scrape.
func (p *appender) Rollback() error {
	p.owner.done(p)
	return nil
}

// split makes batches of the samples, in order.
func (p *appender) split() {
	n := (len(p.samples) + maxBatchSamples - 1) / maxBatchSamples
	if cap(p.batches) < n {
		p.batches = make([]telemetry.Batch, 0, n)
	}
	for from := 0; from < len(p.samples); from += maxBatchSamples {
		to := min(from+maxBatchSamples, len(p.samples))
		p.batches = append(p.batches, telemetry.Batch{Samples: p.samples[from:to:to]})
		p.pointers = append(p.pointers, &p.batches[len(p.batches)-1])
	}
}

// advance moves the last time of each entry to that of its sample. A scrape that is dropped moves it too: what comes
// later must not be older than what a Sink may have half stored.
func (t *table) advance(entries []*entry, samples []telemetry.Sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, e := range entries {
		e.lastMilli = max(e.lastMilli, samples[i].UnixMilli)
	}
}
