package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/correlate"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/telemetry"
)

// Where nothing is sampled every trace is kept; exemplars still ask which traces there are.
const (
	defaultWait = 10 * time.Second
	defaultLate = 5 * time.Minute
	trimEvery   = 10 * time.Second
	// spanMetricsMemory is for how long span metrics ask whether a trace is kept: their candidates' hold and an interval.
	spanMetricsMemory = 5 * time.Minute
)

// noAttributes is for those who look at no attribute of a span: some at its ids alone, some hand it on as it came.
var noAttributes = telemetry.NewAttributes()

// sampling knows which traces are kept. Where the configuration drops some it has a decider with a cursor of its own.
type sampling struct {
	wait, late time.Duration
	traces     *correlate.Traces // where all are kept; else the rest is set

	dryRun   bool
	pins     bool // exemplars keep traces
	verdicts *correlate.Verdicts
	index    *correlate.Index
	decider  *correlate.Decider
	delivery *pipeline.Delivery
	readers  []*pipeline.Cursor // of exporters that ask for verdicts
	follow   []*pipeline.Cursor // of these, those that ask for what was dropped
}

// openSampling opens what the configuration asks for; lines are the cursors of exporters of logs, by name.
func openSampling(queue *pipeline.Queue, cfg *config.Aggregator, lines map[string]*pipeline.Cursor, registry prometheus.Registerer, logger *slog.Logger) (*sampling, error) {
	c := cfg.Sampling
	if c == nil {
		return &sampling{wait: defaultWait, late: defaultLate, traces: correlate.NewTraces(defaultWait, defaultLate)}, nil
	}
	s := &sampling{wait: time.Duration(c.Wait), late: time.Duration(c.Late), dryRun: c.DryRun, pins: enabled(c.Exemplars)}
	rules, err := correlate.NewRules(samplingRules(c))
	if err != nil {
		return nil, err
	}
	s.verdicts, err = correlate.OpenVerdicts(correlate.VerdictsOptions{
		Dir: filepath.Join(cfg.DataDir, "verdicts"), Wait: s.wait, Late: s.late, Registerer: registry,
	})
	if err != nil {
		return nil, err
	}
	s.index = correlate.NewIndex(correlate.IndexOptions{
		Rules: rules, Wait: s.wait, Late: s.late, MaxEntries: c.MaxTraces, Registerer: registry, Watermarks: []func() int64{s.decided},
	})
	decider := correlate.DeciderOptions{Index: s.index, Verdicts: s.verdicts, KeepAll: s.dryRun, Registerer: registry}
	if cfg.Logs.FollowTrace() && !s.dryRun {
		s.follow = slices.Collect(maps.Values(lines))
		decider.Readers = []func() int64{s.followed}
	}
	s.decider = correlate.NewDecider(decider)
	// What was dropped is found again by replay, also for those that are far behind.
	cursor, err := queue.Cursor(telemetry.Spans, decideCursor, pipeline.CursorOptions{Hold: s.decider.Hold(), HoldFor: s.follow})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.delivery = &pipeline.Delivery{
		Cursor: cursor, Sink: s.decider, Observers: []pipeline.Observer{s.decider}, Only: noAttributes, MaxBodyBytes: maxBody(cfg), Logger: logger,
	}
	return s, nil
}

// observers are what looks at every record of a signal, behind first. Snapshots are kept in this order.
func (s *sampling) observers(signal telemetry.Signal, first ...pipeline.Observer) []pipeline.Observer {
	switch {
	case s.traces == nil && signal == telemetry.Logs:
		return append(first, s.index, s.decider.Lines(s.decided))
	case s.traces == nil && (signal == telemetry.Spans || s.pins):
		return append(first, s.index)
	case signal == telemetry.Spans:
		return append(first, s.traces)
	}
	return first
}

// attributes are the span attributes that observers look at.
func (s *sampling) attributes() []string {
	if s.traces != nil {
		return nil
	}
	return s.index.Attributes()
}

// hold is what observers' cursors have to hold.
func (s *sampling) hold() pipeline.CursorOptions {
	if s.traces != nil {
		return pipeline.CursorOptions{Hold: s.traces.Hold()}
	}
	return pipeline.CursorOptions{Hold: s.index.Hold(), HoldFor: []*pipeline.Cursor{s.delivery.Cursor}}
}

// decided is the receive time up to which every trace is decided.
func (s *sampling) decided() int64 { return s.delivery.Watermark() }

// followed is how far those have come that ask what was dropped.
func (s *sampling) followed() int64 { return slowest(s.follow, s.decided()) }

// slowest returns the least watermark of cursors, otherwise if there are none.
func slowest(cursors []*pipeline.Cursor, otherwise int64) int64 {
	low := otherwise
	for _, c := range cursors {
		low = min(low, c.Watermark())
	}
	return low
}

// kept says whether a span received then belongs to a trace that is kept, as far as is known.
func (s *sampling) kept(id telemetry.TraceID, received int64) bool {
	if s.traces != nil {
		return s.traces.Kept(id, received)
	}
	return s.verdicts.Kept(id, received)
}

// start runs the decider behind the observers, and lets go of verdicts that nobody asks for any more.
func (s *sampling) start(stage *run.Stage, observers *observers, logger *slog.Logger) {
	if s.traces != nil {
		return
	}
	var watermarks []func() int64
	for _, d := range observers.deliveries {
		watermarks = append(watermarks, d.Watermark)
	}
	s.delivery.Gate = pipeline.Behind(s.wait, watermarks...)
	stage.Go("decider", s.delivery.Run)
	stage.Go("verdicts", func(ctx context.Context) error {
		tick := time.NewTicker(trimEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			before := slowest(s.readers, s.decided())
			if before <= int64(spanMetricsMemory) {
				continue // somebody has not begun yet
			}
			if err := s.verdicts.Trim(before - int64(spanMetricsMemory)); err != nil {
				logger.Warn("the verdict log keeps what could go", "err", err)
			}
		}
	})
}

func (s *sampling) close() error {
	if s.verdicts == nil {
		return nil
	}
	return s.verdicts.Close()
}

// follows has a cursor on spans come behind the decider.
func (s *sampling) follows(o *pipeline.CursorOptions) {
	if s.traces == nil && !s.dryRun {
		o.Follows = s.delivery
	}
}

// spans makes d, whose cursor comes behind the decider, one of kept spans only.
func (s *sampling) spans(d *pipeline.Delivery) {
	if s.traces != nil || s.dryRun {
		return
	}
	s.readers = append(s.readers, d.Cursor)
	d.Stages = append(d.Stages, s.verdicts.KeepSpans)
}

// lines makes d follow the traces' sampling.
func (s *sampling) lines(d *pipeline.Delivery) {
	if s.traces != nil || s.dryRun {
		return
	}
	s.readers = append(s.readers, d.Cursor)
	d.Gate = pipeline.Behind(s.wait, s.decided)
	d.Stages = append(d.Stages, s.decider.FollowTrace)
}

// exemplars returns what lets only those pass whose trace is kept; spans is the delivery that observes them.
func (s *sampling) exemplars(spans *pipeline.Delivery, registry prometheus.Registerer) *correlate.Exemplars {
	o := correlate.ExemplarsOptions{Registerer: registry, Wait: s.wait, Late: s.late}
	if s.traces != nil {
		o.Kept, o.Dropped, o.Decided = s.traces.Kept, s.traces.Dropped, spans.Watermark
	} else {
		o.Kept, o.Dropped, o.Decided = s.verdicts.KeptLine, s.decider.Dropped, s.decided
	}
	return correlate.NewExemplars(o)
}

// verify makes d let only those exemplars pass whose trace is kept.
func (s *sampling) verify(d *pipeline.Delivery, e *correlate.Exemplars) {
	s.readers = append(s.readers, d.Cursor)
	d.Observers = append(d.Observers, e)
	d.Stages = append(d.Stages, e.Stage)
}

func enabled(option *bool) bool { return option == nil || *option }

// samplingRules are the configuration's, and those that are there by themselves.
func samplingRules(c *config.Sampling) correlate.Rule {
	root := correlate.Rule{Kind: correlate.RuleAny}
	if enabled(c.ErrorLines) {
		root.Rules = append(root.Rules, correlate.Rule{Kind: correlate.RuleErrorLine, Name: config.ErrorLinesRule})
	}
	if enabled(c.Exemplars) {
		root.Rules = append(root.Rules, correlate.Rule{Kind: correlate.RuleExemplar, Name: config.ExemplarsRule})
	}
	root.Rules = append(root.Rules, rulesOf(c.Keep)...)
	return root
}

var ruleKinds = map[string]correlate.RuleKind{
	"error": correlate.RuleError, "slow": correlate.RuleSlow, "error_line": correlate.RuleErrorLine, "exemplar": correlate.RuleExemplar,
	"attribute": correlate.RuleAttribute, "share": correlate.RuleShare, "always": correlate.RuleAlways, "never": correlate.RuleNever,
}

func rulesOf(list []config.SamplingRule) (rules []correlate.Rule) {
	for i := range list {
		r := &list[i]
		switch {
		case len(r.Any) > 0:
			rules = append(rules, correlate.Rule{Kind: correlate.RuleAny, Rules: rulesOf(r.Any)})
		case len(r.All) > 0:
			rules = append(rules, correlate.Rule{Kind: correlate.RuleAll, Rules: rulesOf(r.All)})
		default:
			kind, known := ruleKinds[r.Type]
			if !known {
				panic(fmt.Sprintf("BUG: the configuration has let through a rule of type %q", r.Type))
			}
			rules = append(rules, correlate.Rule{
				Kind: kind, Name: r.Name, Above: time.Duration(r.Above), Quantile: r.Quantile, Key: r.Key, Values: r.Values,
				Traces: r.Traces, Per: time.Duration(r.Per), Probability: r.Probability,
			})
		}
	}
	return rules
}
