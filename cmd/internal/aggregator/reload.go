package aggregator

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
)

// begin runs the first generation.
func (a *aggregator) begin(cfg *config.Aggregator) error {
	out, err := a.open(cfg, nil)
	if err != nil {
		return err
	}
	g, err := a.build(cfg, out)
	if err != nil {
		return errors.Join(err, a.closeBut(out, nil))
	}
	a.use(g)
	return nil
}

// use runs g, and serves what it has.
func (a *aggregator) use(g *generation) {
	a.generation = g
	a.current.Store(&current{spans: spanMetrics(g.spans), api: g.outputs.query(a.access.reads, g.own), only: g.observers.only})
	a.queue.Resume()
	a.slot.Go(func(ctx context.Context) error {
		return g.run(ctx, a.queue, func() { a.state.SetReady(true) }, a.logger)
	})
}

// end lets go of the last generation, which has stopped.
func (a *aggregator) end() error {
	return errors.Join(a.drop(a.generation), a.closeBut(a.generation.outputs, nil))
}

// reload takes over what has changed. Listeners and the queue go on; exporters that are as they were keep their
// connections, and the store that is as it was stays open. If the next configuration cannot be used the one before goes on.
func (a *aggregator) reload(load func() (*config.Aggregator, error)) error {
	next, err := load()
	if err != nil {
		return err
	}
	before := a.generation
	now := before.cfg
	if err := run.Fixed(map[string]bool{
		"cluster": next.Cluster != now.Cluster, "data_dir": next.DataDir != now.DataDir,
		"receivers": !reflect.DeepEqual(next.Receivers, now.Receivers), "web": !reflect.DeepEqual(next.Web, now.Web),
		"kubernetes": next.Kubernetes != now.Kubernetes, "limits": next.Limits != now.Limits, "queue": next.Queue != now.Queue,
		"the store's retention": retention(next) != retention(now) && retention(next) != 0 && retention(now) != 0,
	}); err != nil {
		return err
	}
	a.slot.Empty()
	if err := a.drop(before); err != nil {
		return a.resume(before, err)
	}
	out, err := a.open(next, before.outputs)
	if err != nil {
		return a.resume(before, err)
	}
	g, err := a.build(next, out)
	if err != nil {
		return a.resume(before, errors.Join(err, a.closeBut(out, before.outputs)))
	}
	a.use(g)
	return a.closeBut(before.outputs, out)
}

// resume goes on by the configuration before, and returns why.
func (a *aggregator) resume(before *generation, why error) error {
	g, err := a.build(before.cfg, before.outputs.again())
	if err != nil {
		err = fmt.Errorf("cannot go on by the configuration before a reload that failed (%w): %w", why, err)
		a.slot.Go(func(context.Context) error { return err }) // nothing would leave any more: better to end, and be started anew
		return err
	}
	a.use(g)
	return why
}

// again returns the outputs without what deliveries have added.
func (o *outputs) again() *outputs {
	same := &outputs{}
	for _, out := range o.list {
		if out.registry != nil {
			same.list = append(same.list, out)
		}
	}
	return same
}

// retention is that of the store, 0 if there is none.
func retention(cfg *config.Aggregator) config.Duration {
	for _, e := range cfg.Exporters {
		if e.Store != nil {
			return e.Store.Retention
		}
	}
	return 0
}
