package elasticsearch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/braidhq/braid/exporters/elasticsearch/ecs"
	"github.com/braidhq/braid/telemetry"
)

// attempts is how often an item that is refused for now is sent before the call fails and the caller waits.
const attempts = 5

// A lane carries documents to one data stream, one bulk at a time.
type lane struct {
	stream      string
	opaqueID    string
	client      *client
	state       *stateFile
	metrics     *metrics
	logger      *slog.Logger
	compression telemetry.Compression
	maxBytes    int
	dead        *lane // where refused documents go; nil for the dead letter itself
	now         func() time.Time
	pause       func(ctx context.Context, d time.Duration) error
	records     *records // nil for the dead letter, which is given documents

	// doubt: what was received up to then may be stored already. It only grows.
	doubt atomic.Int64

	mu      sync.Mutex // held while a call uses the lane: all below
	idle    bool       // no bulk of ours to this data stream can be running
	ensured bool
	burying bool  // the last chunk had dead letters
	lost    error // the dead letter has refused a document, too

	batches  []*telemetry.Batch  // of the Write that holds mu
	settings [2]ecs.Setting      // by form
	prepared [2]*telemetry.Batch // what they are set for
	chunk    chunk
	verdicts []verdict
	wire     []byte
	original []byte
}

// suspect says that all that was received up to received may have been stored: a call that had it has failed.
func (l *lane) suspect(received int64) {
	for {
		doubt := l.doubt.Load()
		if received <= doubt || l.doubt.CompareAndSwap(doubt, received) {
			return
		}
	}
}

// write stores this lane's records of batches.
func (l *lane) write(ctx context.Context, batches []*telemetry.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches, l.lost = batches, nil
	clear(l.prepared[:])
	l.chunk.reset()
	defer func() { l.batches = nil }()
	for i, b := range batches {
		for j := range l.records.count(b) {
			l.add(i, j, ecs.Full)
			if len(l.chunk.body) >= l.maxBytes {
				if err := l.deliver(ctx); err != nil {
					return err
				}
			}
		}
	}
	if err := l.deliver(ctx); err != nil {
		return err
	}
	return telemetry.Permanent(l.lost)
}

// add appends the document of a record to the chunk.
func (l *lane) add(batch, index int, f ecs.Form) {
	b := l.batches[batch]
	s := &l.settings[f]
	if l.prepared[f] != b {
		s.Set(b, f, l.now().UnixNano())
		l.prepared[f] = b
	}
	c := &l.chunk
	c.begin(item{batch: batch, index: index, received: b.ReceivedUnixNano, form: f})
	c.body = l.records.id(c.body, b, index)
	c.document()
	c.body = l.records.encode(c.body, b, index, s, f)
	c.finish()
}

// deliver sends the chunk until it is empty: stored, or in the dead letter. Its first error leaves the rest in doubt.
func (l *lane) deliver(ctx context.Context) error {
	defer l.chunk.reset()
	if len(l.chunk.items) == 0 {
		return nil
	}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	var buried int
	for attempt := 1; ; attempt++ {
		if err := l.settle(ctx); err != nil {
			return err
		}
		n := len(l.chunk.items)
		if n == 0 {
			l.tellBurying(buried)
			return nil
		}
		l.verdicts = slices.Grow(l.verdicts[:0], n)[:n]
		if err := l.send(ctx, 0, n); err != nil {
			return err
		}
		dead, wait, err := l.sort(ctx)
		if err != nil {
			return err
		}
		buried += dead
		if wait == nil {
			continue
		}
		if attempt >= attempts {
			return telemetry.Throttled(fmt.Errorf("elasticsearch refuses %d documents of %s for now: %s: %s",
				len(l.chunk.items), l.stream, wait.kind, wait.reason), 0)
		}
		if err := l.pause(ctx, 100*time.Millisecond<<attempt); err != nil {
			return err
		}
	}
}

// prepare makes durable what must be known after a crash before anything of the chunk is sent.
func (l *lane) prepare(ctx context.Context) error {
	if !l.ensured {
		index, err := l.client.ensure(ctx, l.stream)
		if err != nil {
			return err
		}
		if err := l.state.learn(l.stream, index); err != nil {
			return err
		}
		l.ensured = true
	}
	return l.state.willSend(l.stream, l.chunk.received())
}

// sort keeps of the chunk what is to be sent again, refused documents in their plain form, and buries what was refused
// in that form too. wait, if not nil, is a verdict that asks for time.
func (l *lane) sort(ctx context.Context) (buried int, wait *verdict, err error) {
	var again, bury []int // indices of refused items
	var counts [outcomes]int
	for i := range l.chunk.items {
		it, v := &l.chunk.items[i], &l.verdicts[i]
		counts[v.outcome]++
		switch {
		case v.outcome == refused && it.form == ecs.Full:
			again = append(again, i)
		case v.outcome == refused:
			bury = append(bury, i)
		case v.outcome == unsure:
			it.doubt = true
			wait = v
		case v.outcome == later:
			wait = v
		}
	}
	if len(bury) > 0 {
		if err := l.bury(ctx, bury); err != nil {
			return 0, nil, err
		}
	}
	l.metrics.documents.WithLabelValues(l.stream, "stored").Add(float64(counts[stored]))
	l.metrics.documents.WithLabelValues(l.stream, "conflict").Add(float64(counts[conflict]))
	l.metrics.documents.WithLabelValues(l.stream, "refused").Add(float64(len(bury)))
	l.metrics.retries.Add(float64(counts[later] + counts[unsure] + len(again)))
	plains := make([]item, len(again))
	for n, i := range again {
		plains[n] = l.chunk.items[i]
	}
	l.chunk.retain(func(i int) bool { return l.verdicts[i].outcome == later || l.verdicts[i].outcome == unsure })
	for i := range plains {
		l.add(plains[i].batch, plains[i].index, ecs.Plain)
		l.chunk.items[len(l.chunk.items)-1].asked = true // it was refused, so it is not stored
	}
	return len(bury), wait, nil
}

// tellBurying logs when documents begin to go to the dead letter and when they no longer do.
func (l *lane) tellBurying(buried int) {
	if (buried > 0) == l.burying || l.dead == nil {
		return
	}
	l.burying = buried > 0
	if l.burying {
		l.logger.Warn("elasticsearch refuses documents, they go to the dead letter", "data_stream", l.stream, "dead_letter", l.dead.stream)
	} else {
		l.logger.Info("elasticsearch takes all documents again", "data_stream", l.stream)
	}
}
