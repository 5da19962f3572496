package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/braidhq/braid/telemetry"
)

const maxExemplars = 100_000

// openSamples opens the TSDB. Its out-of-order window is the whole retention: a repeated or late sample, such as one
// from an agent that was cut off for hours, is merged instead of refused.
func openSamples(dir string, o Options) (*tsdb.DB, error) {
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = o.Retention.Milliseconds()
	opts.OutOfOrderTimeWindow = o.Retention.Milliseconds()
	opts.MaxBlockDuration = max(opts.MinBlockDuration, opts.RetentionDuration/10)
	opts.EnableExemplarStorage = true
	opts.MaxExemplars = maxExemplars
	opts.WALSegmentSize = 32 << 20
	return tsdb.Open(dir, o.Logger, o.Registerer, opts, nil)
}

// writeSamples appends the samples of batches in one transaction. A sample that the TSDB refuses is counted with its
// reason and does not hold up the others.
func (s *Store) writeSamples(ctx context.Context, batches []*telemetry.Batch) error {
	app := s.samples.AppenderV2(ctx)
	var last *telemetry.Series
	var ref storage.SeriesRef
	n := 0
	for _, b := range batches {
		for i := range b.Samples {
			sample := &b.Samples[i]
			if sample.Series != last {
				last, ref = sample.Series, 0
			}
			n++
			var err error
			if ref, err = s.appendSample(app, ref, sample); err != nil {
				last = nil
				s.metrics.rejected.WithLabelValues("sample", reason(err)).Inc()
			}
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("cannot store samples: %w", err)
	}
	s.metrics.records.WithLabelValues(telemetry.Samples.String()).Add(float64(n))
	return nil
}

// appendSample copies histograms and exemplar labels, which are lent and which the TSDB keeps.
func (s *Store) appendSample(app storage.AppenderV2, ref storage.SeriesRef, v *telemetry.Sample) (storage.SeriesRef, error) {
	if v.Series == nil || v.Series.Labels.IsEmpty() {
		return 0, errNoLabels
	}
	if name, dup := v.Series.Labels.HasDuplicateLabelNames(); dup {
		return 0, fmt.Errorf("%w: %s", errDuplicateLabel, name)
	}
	h, fh, value := v.Histogram, v.FloatHistogram, v.Value
	if h != nil {
		h, value = h.Copy(), 0
	}
	if fh != nil {
		fh, h, value = fh.Copy(), nil, 0
	}
	ref, err := app.Append(ref, v.Series.Labels, v.StartUnixMilli, v.UnixMilli, value, h, fh, storage.AOptions{
		Exemplars: copyExemplars(v.Exemplars),
	})
	var partial *storage.AppendPartialError
	if errors.As(err, &partial) { // the sample itself is in
		for _, e := range partial.ExemplarErrors {
			s.metrics.rejected.WithLabelValues("exemplar", reason(e)).Inc()
		}
		return ref, nil
	}
	return ref, err
}

func copyExemplars(es []exemplar.Exemplar) []exemplar.Exemplar {
	if len(es) == 0 {
		return nil
	}
	es = slices.Clone(es)
	for i := range es {
		es[i].Labels = es[i].Labels.Copy()
	}
	slices.SortStableFunc(es, func(a, b exemplar.Exemplar) int { return cmp.Compare(a.Ts, b.Ts) })
	return es
}

var (
	errNoLabels       = errors.New("sample without labels")
	errDuplicateLabel = errors.New("label name occurs twice")
)

// reason names err in a metric.
func reason(err error) string {
	switch {
	case errors.Is(err, errNoLabels):
		return "no_labels"
	case errors.Is(err, errDuplicateLabel), errors.Is(err, tsdb.ErrInvalidSample):
		return "invalid_labels"
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return "duplicate_timestamp"
	case errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfBounds):
		return "too_old"
	case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrOutOfOrderExemplar):
		return "out_of_order"
	case errors.Is(err, storage.ErrExemplarLabelLength), errors.Is(err, tsdb.ErrInvalidExemplar):
		return "invalid_exemplar"
	}
	return "invalid"
}
