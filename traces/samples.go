package traces

import (
	"github.com/prometheus/prometheus/model/exemplar"

	"github.com/braidhq/braid/telemetry"
)

// A redIdentity holds the interned series of one redSeries.
type redIdentity struct {
	calls   *telemetry.Series
	latency histogramIdentity
}

func (i *redIdentity) all(each func(*telemetry.Series)) {
	each(i.calls)
	i.latency.all(each)
}

// A redRow is a copy of a series, for what is done without holding up Observe.
type redRow struct {
	from       *redSeries
	latency    durations
	start      int64
	identity   *redIdentity
	candidates candidates
	exemplars  []exemplar.Exemplar
}

// rows copies all series; r.mu is held.
func (r *RED) rows() []redRow {
	rows := make([]redRow, 0, len(r.series))
	for _, s := range r.series {
		rows = append(rows, redRow{from: s, latency: s.latency.clone(), start: s.start, candidates: s.candidates})
	}
	return rows
}

// Samples returns the cumulative values of all series at the receive time now, in nanoseconds: calls, latency and
// traces_target_info, with start timestamps. Series that have become idle since the last call have a stale marker.
//
// A latency has exemplars of those spans whose trace is kept, by its id and the span's receive time; kept says false
// for a trace that is dropped, not decided yet, or unknown. An exemplar is handed out once. nil: no exemplars.
//
// The series are the same from call to call. The caller owns the rest.
func (r *RED) Samples(now int64, kept func(telemetry.TraceID, int64) bool) []telemetry.Sample {
	r.exporting.Lock()
	defer r.exporting.Unlock()
	e, rows := r.take(now)
	for i := range rows {
		row := &rows[i]
		if kept != nil {
			row.exemplars = row.candidates.choose(kept)
		}
		e.add(row.identity.calls, row.start, float64(row.latency.count))
		e.histogram(&row.identity.latency, &row.latency, &r.shape, row.start, row.exemplars)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range rows {
		if x := rows[i].exemplars; len(x) > 0 {
			rows[i].from.milli = x[len(x)-1].Ts
		}
	}
	return e.samples
}

// take copies all series, gives those an identity that have none, and exports what needs no copy.
func (r *RED) take(now int64) (*export, []redRow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	perSeries := 2 + len(r.shape.bounds)
	e := newExport(now, len(r.series)*perSeries+len(r.targets.known))
	for _, s := range r.gone {
		if again := r.series[s.key]; again != nil {
			again.identity = s.identity
		} else {
			s.identity.all(e.stale)
		}
	}
	r.gone = nil
	r.targets.export(e, &r.target)
	rows := r.rows()
	for i := range rows {
		s := rows[i].from
		if s.identity == nil {
			s.identity = &redIdentity{r.calls.series("", s.key, ""), newHistogramIdentity(&r.latency, s.key, &r.shape)}
		}
		rows[i].identity = s.identity
	}
	return e, rows
}

func (t *targets) export(e *export, f *family) {
	for _, x := range t.gone {
		if again := t.known[x.key]; again != nil {
			again.series = x.series
		} else {
			e.stale(x.series)
		}
	}
	t.gone = nil
	for _, x := range t.known {
		if x.series == nil {
			x.series = f.series("", x.key, "")
		}
		e.add(x.series, 0, 1)
	}
}
