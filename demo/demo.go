package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/braidhq/braid/demo/reckon"
)

// Options say what to run and for how long.
type Options struct {
	Executable string        // the braid of which everything is a process
	For        time.Duration // 0: until stopped
	Report     bool          // reckon at the end; implied by For
	JSON       bool          // the report as JSON on the last line of Stdout, all else on Stderr
	Keep       string        // the directory to use and leave; "": one that goes with the demo
	Chaos      bool          // kill -9 the aggregator once in the middle
	Rate       float64       // requests a second
	Seed       uint64        // of the customers' dice
	Patience   time.Duration // for each process to come up, and for everything to arrive after the shop has closed; 0: a minute

	Stdout, Stderr io.Writer
}

// When the aggregator is killed if the demo has no end and so no middle, and for how long it stays away.
const (
	chaosAfter = 15 * time.Second
	chaosAway  = 3 * time.Second
)

// How long the demo has to run, and how busy the shop has to be, for it to be wrong that no exemplar is stored: they are
// held back until their trace is decided.
const (
	exemplarsAfter = 20 * time.Second
	exemplarsRate  = 5
)

// ErrBroken says that a promise was not kept; which one stands on Stderr.
var ErrBroken = errors.New("a promise is broken")

// Run runs the demo until its time is over or stop is closed, and reckons if asked to. ctx ends it at once. Whatever
// happens no child is left, and no directory that was not to be kept, but for the evidence of a broken promise.
func Run(ctx context.Context, stop <-chan struct{}, o Options) error {
	if o.Rate <= 0 || o.Rate > 1000 {
		return fmt.Errorf("cannot run the demo at %g requests a second: more than 0 and up to 1000", o.Rate)
	}
	o.Report = o.Report || o.For > 0 || o.JSON
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	s, err := newSite(o.Keep, o.Report || o.Keep != "")
	if err != nil {
		return err
	}
	defer s.remove()
	d := &demo{Options: o, site: s, cluster: newCluster(s, o.Executable, o.Patience), news: o.Stdout}
	if o.JSON {
		d.news = o.Stderr
	}
	defer d.cluster.kill()
	d.api = &reckon.API{Base: "http://" + s.aggregatorWeb, Client: &http.Client{}}
	defer d.api.Client.CloseIdleConnections()

	alive, die := context.WithCancelCause(ctx)
	defer die(nil)
	open, end := context.WithCancelCause(alive)
	defer end(nil)
	go func() {
		for {
			select {
			case <-stop:
				end(errStopped)
				stop = nil
			case err := <-d.cluster.failed:
				die(err)
			case <-alive.Done():
				return
			}
		}
	}()
	err = d.day(alive, open)
	if errors.Is(err, errStopped) && !o.Report {
		return nil
	}
	return err
}

// errStopped is the cause of a demo that was asked to end.
var errStopped = errors.New("stopped before there was anything to reckon")

type demo struct {
	Options
	site     *site
	cluster  *cluster
	api      *reckon.API
	load     *load
	follower *reckon.Follower
	start    time.Time
	outages  reckon.Outages
	news     io.Writer
}

func (d *demo) sayf(format string, args ...any) {
	fmt.Fprintf(d.Stderr, "demo: "+format+"\n", args...)
}

// day opens the shop, keeps it open until open ends, closes it and reckons. alive ends when something has failed, or
// when the demo is to end at once.
func (d *demo) day(alive, open context.Context) error {
	if err := d.bringUp(open); err != nil {
		return err
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	closing, stopLoad := context.WithCancel(open)
	defer stopLoad()
	d.load = newLoad(d.site.topology.Services[0].Address, d.Rate, d.Seed)
	customers := make(chan struct{})
	workers.Go(func() { defer close(customers); d.load.run(closing) })
	following, stopFollowing := context.WithCancel(alive)
	defer stopFollowing()
	d.follower = reckon.NewFollower(d.api, namespace, d.start)
	if d.Report {
		workers.Go(func() { d.follower.Run(following) })
	}

	if err := d.business(open); err != nil {
		return err
	}
	stopLoad()
	<-customers
	requests, failures := d.load.counts()
	d.sayf("closing the shop after %d requests, %d of which were turned down or failed", requests, failures)
	if err := d.cluster.stopShop(alive); err != nil {
		return err
	}
	if !d.Report {
		return d.cluster.stopBraid(alive)
	}
	got, err := d.reckon(alive, time.Since(d.start))
	if err != nil {
		return err
	}
	stopFollowing()
	if err := d.cluster.stopBraid(alive); err != nil {
		got.Broken = append(got.Broken, err.Error())
	}
	return d.report(got)
}

// bringUp starts everything, from right to left.
func (d *demo) bringUp(open context.Context) (err error) {
	c := d.cluster
	d.sayf("everything lies in %s", d.site.dir)
	if c.aggregator, err = c.startBraid(open, "aggregator", d.site.aggregatorWeb); err != nil {
		return err
	}
	if c.agent, err = c.startBraid(open, "agent", d.site.agentWeb); err != nil {
		return err
	}
	d.start = time.Now()
	return c.startShop(open)
}

// business is the time while the shop is open: it returns nil when it is to close.
func (d *demo) business(open context.Context) error {
	var over, chaos <-chan time.Time
	if d.For > 0 {
		over = time.After(d.For)
	}
	if d.Chaos {
		after := chaosAfter
		if d.For > 0 {
			after = d.For / 2
		}
		chaos = time.After(after)
	}
	announced := make(chan string, 1)
	looking, found := context.WithTimeout(open, 15*time.Second)
	defer found()
	go func() { announced <- waitForErrorTrace(looking, d.load, d.api) }()
	for {
		select {
		case id := <-announced:
			d.site.announce(d.news, d.Executable, id)
			if d.For == 0 {
				fmt.Fprintln(d.news, "Ctrl-C ends the demo.")
			}
		case <-chaos:
			d.sayf("chaos: kill -9 of the aggregator")
			outage, err := d.cluster.crashAggregator(open, chaosAway)
			if err != nil {
				return closed(err)
			}
			d.outages = append(d.outages, outage)
			d.sayf("chaos: the aggregator is back")
		case <-over:
			return nil
		case <-open.Done():
			return closed(context.Cause(open))
		}
	}
}

// closed returns nil for the ordinary end of a demo.
func closed(err error) error {
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// reckon compares what was written with what is stored, of a day that was that long.
func (d *demo) reckon(alive context.Context, day time.Duration) (*reckon.Reckoning, error) {
	if d.cluster.aggregator == nil {
		return nil, errors.New("cannot reckon: the demo was stopped while the aggregator was away")
	}
	written, err := reckon.ReadLedgers(d.site.ledgers(), sampleSlow)
	if err != nil {
		return nil, fmt.Errorf("cannot reckon: %w", err)
	}
	lines, spans, samples := written.Totals()
	d.sayf("the ledgers say %d lines, %d spans, %d samples; reading everything back", lines, spans, samples)
	r := &reckon.Reckoner{
		API: d.api, Written: written, Namespace: namespace, Job: shopJob, From: d.start.Add(-time.Second),
		Terms: reckon.Terms{
			Wait: sampleWait, Late: sampleLate, Slow: sampleSlow, Share: sampleShare,
			Outages: d.outages, Exemplars: day >= exemplarsAfter && d.Rate >= exemplarsRate,
		},
		Follower: d.follower, Patience: d.Patience, Poll: time.Second, Settle: 2 * sampleWait,
		Progress: func(text string) { d.sayf("%s", text) },
	}
	return r.Reckon(alive)
}

// report prints the reckoning, last of all.
func (d *demo) report(got *reckon.Reckoning) error {
	for _, broken := range got.Broken {
		d.sayf("BROKEN: %s", broken)
	}
	if len(got.Broken) > 0 {
		d.site.kept = true // the evidence
	}
	d.sayf("%d of %d traces are kept: %d of %d had no reason but chance; %d are not whose reason may have come too late",
		got.Kept, got.Traces, got.RestKept, got.Rest, got.Late)
	if d.site.kept {
		d.sayf("logs, ledgers and data are kept in %s", d.site.dir)
	}
	if d.JSON {
		line, err := json.Marshal(got.Report)
		if err != nil {
			return fmt.Errorf("cannot print the report: %w", err)
		}
		fmt.Fprintf(d.Stdout, "%s\n", line)
	} else {
		fmt.Fprintf(d.Stdout, "logs       %d written, %d stored, %d lost, %d duplicated\n", got.Logs.Written, got.Logs.Stored, got.Logs.Lost, got.Logs.Duplicated)
		fmt.Fprintf(d.Stdout, "spans      %d sent, %d observed, %d stored\n", got.Spans.Sent, got.Spans.Observed, got.Spans.Stored)
		fmt.Fprintf(d.Stdout, "samples    %d scraped, %d stored\n", got.Samples.Scraped, got.Samples.Stored)
		fmt.Fprintf(d.Stdout, "exemplars  %d stored, %d lead to a stored trace\n", got.Exemplars.Shipped, got.Exemplars.Resolved)
		fmt.Fprintf(d.Stdout, "visible    after %.0f ms (median), %.0f ms (99th percentile)\n", got.Visible.P50, got.Visible.P99)
	}
	if len(got.Broken) > 0 {
		return ErrBroken
	}
	return nil
}
