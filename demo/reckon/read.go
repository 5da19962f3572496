package reckon

import (
	"context"
	"sync"
	"time"

	"github.com/braidhq/braid/demo/ledger"
)

// readers is how many requests are under way at once while everything is read back.
const readers = 4

// Read reads back all lines of a namespace, and of the spans and samples those that written or an exemplar speaks of: spans
// by trace id, samples by name. Spans of other traces stand in the observed count.
func (a *API) Read(ctx context.Context, written *Tally, exemplars []Exemplar, namespace, job string, from time.Time) (*Tally, error) {
	found := NewTally()
	err := a.Logs(ctx, namespace, from, false, func(l *LogLine) {
		found.AddLine(LineKey{l.Container, l.Stream, ledger.SumOf(l.Bytes())}, l.TraceID)
	})
	if err != nil {
		return nil, err
	}
	traces, names := make(map[string]bool), make(map[string]bool)
	for k := range written.Spans {
		traces[k.TraceID] = true
	}
	for _, e := range exemplars {
		if e.TraceID != "" {
			traces[e.TraceID] = true
		}
	}
	for k := range written.Samples {
		names[k.Name] = true
	}
	var mu sync.Mutex // of found
	err = each(ctx, traces, func(id string) error {
		spans, err := a.Trace(ctx, id)
		mu.Lock()
		defer mu.Unlock()
		for _, s := range spans {
			found.Spans[SpanKey{s.Service, id, s.SpanID}]++
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, names, func(name string) error {
		counts, err := a.Samples(ctx, job, name, from)
		mu.Lock()
		defer mu.Unlock()
		for service, n := range counts {
			found.Samples[SampleKey{service, name}] = n
		}
		return err
	})
	return found, err
}

// each calls do for every key, a few at a time, and returns the first error after the rest was left out.
func each(ctx context.Context, keys map[string]bool, do func(string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan string)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for key := range todo {
				if err := do(key); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for key := range keys {
		select {
		case todo <- key:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(todo)
	wg.Wait()
	return context.Cause(ctx)
}
