package elasticsearch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// An Exporter stores log and span batches in Elasticsearch. Calls of Write may overlap; each data stream has one bulk
// in flight.
type Exporter struct {
	client    *client
	retention time.Duration
	logs      *lane
	spans     *lane
	dead      *lane

	setup sync.Mutex
	ready bool // the templates are in place
}

// New returns an Exporter. It reads what the last process left in StateDir and does not speak to the cluster yet.
func New(o Options) (*Exporter, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	state, err := openState(o.FS, o.StateDir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of the elasticsearch exporter: %w", err)
	}
	m := newMetrics(o.Registerer)
	newLane := func(stream string, r *records, dead *lane) *lane {
		sent := state.sentUpTo(stream)
		l := &lane{
			stream: stream, opaqueID: state.opaqueID(stream), client: c, state: state, metrics: m, logger: o.Logger,
			compression: o.Compression, maxBytes: o.MaxBulkBytes, dead: dead, records: r, now: time.Now, pause: pause,
			idle: sent < 0,
		}
		l.doubt.Store(sent)
		return l
	}
	e := &Exporter{client: c, retention: o.Retention, dead: newLane(o.DeadLetterDataStream, nil, nil)}
	e.logs = newLane(o.LogsDataStream, logRecords(), e.dead)
	e.spans = newLane(o.TracesDataStream, spanRecords(), e.dead)
	return e, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

var errSamples = errors.New("elasticsearch takes no samples")

// Write implements telemetry.Sink. nil means that every record is stored once or lies in the dead letter.
//
// After an error the caller sends the same batches again; what of them is stored by then is found and not sent.
// An error that Elasticsearch's own condition causes is never permanent.
func (e *Exporter) Write(ctx context.Context, batches []*telemetry.Batch) error {
	latest, logs, spans := int64(0), false, false
	for _, b := range batches {
		latest = max(latest, b.ReceivedUnixNano)
		logs, spans = logs || len(b.Logs) > 0, spans || len(b.Spans) > 0
		if len(b.Samples) > 0 {
			return telemetry.Permanent(errSamples)
		}
	}
	err := e.prepare(ctx)
	if err == nil && logs {
		err = e.logs.write(ctx, batches)
	}
	if spans && (err == nil || telemetry.IsPermanent(err)) {
		err = cmp.Or(e.spans.write(ctx, batches), err)
	}
	if err != nil {
		for _, l := range []*lane{e.logs, e.spans, e.dead} {
			l.suspect(latest)
		}
	}
	return err
}

func (e *Exporter) prepare(ctx context.Context) error {
	e.setup.Lock()
	defer e.setup.Unlock()
	if e.ready {
		return nil
	}
	streams := []string{e.logs.stream, e.spans.stream, e.dead.stream}
	if err := e.client.install(ctx, streams, e.retention); err != nil {
		return err
	}
	e.ready = true
	return nil
}
