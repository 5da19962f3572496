package query

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// A selection is what the endpoints about series have in common: their matchers and times.
type selection struct {
	sets     [][]*labels.Matcher // one of them must match; never empty, but one may be
	from, to int64
}

func (h *handler) selection(r *http.Request, required bool) (s selection, err error) {
	if s.from, s.to, err = formRange(r); err != nil {
		return s, err
	}
	if len(r.Form["match[]"]) == 0 {
		if required {
			return s, badData("no match[] parameter provided")
		}
		s.sets = [][]*labels.Matcher{nil}
		return s, nil
	}
	if s.sets, err = h.parser.ParseMetricSelectors(r.Form["match[]"]); err != nil {
		return s, badData("invalid parameter \"match[]\": %v", err)
	}
	return s, nil
}

// formRange returns start and end in milliseconds; an absent side is open.
func formRange(r *http.Request) (from, to int64, err error) {
	start, err := formTime(r, "start", time.Time{})
	if err != nil {
		return 0, 0, err
	}
	end, err := formTime(r, "end", time.Time{})
	if err != nil {
		return 0, 0, err
	}
	from, to = math.MinInt64, math.MaxInt64
	if !start.IsZero() {
		from = start.UnixMilli()
	}
	if !end.IsZero() {
		to = end.UnixMilli()
	}
	if to < from {
		return 0, 0, badData("end is before start")
	}
	return from, to, nil
}

// union collects strings over every matcher set.
func (h *handler) union(s selection, get func(storage.Querier, []*labels.Matcher) ([]string, error)) (promAnswer, error) {
	q, err := h.Queryable.Querier(s.from, s.to)
	if err != nil {
		return promAnswer{}, err
	}
	defer q.Close()
	found := map[string]bool{}
	for _, set := range s.sets {
		some, err := get(q, set)
		if err != nil {
			return promAnswer{}, err
		}
		for _, v := range some {
			found[string([]byte(v))] = true // v does not outlive the querier
		}
	}
	return promAnswer{data: append([]string{}, slices.Sorted(maps.Keys(found))...)}, nil
}

func (h *handler) labelNames(r *http.Request) (promAnswer, error) {
	s, err := h.selection(r, false)
	if err != nil {
		return promAnswer{}, err
	}
	return h.union(s, func(q storage.Querier, set []*labels.Matcher) ([]string, error) {
		names, _, err := q.LabelNames(r.Context(), nil, set...)
		return names, err
	})
}

func (h *handler) labelValues(r *http.Request) (promAnswer, error) {
	name := r.PathValue("name")
	if !model.UTF8Validation.IsValidLabelName(name) {
		return promAnswer{}, badData("invalid label name: %q", name)
	}
	s, err := h.selection(r, false)
	if err != nil {
		return promAnswer{}, err
	}
	return h.union(s, func(q storage.Querier, set []*labels.Matcher) ([]string, error) {
		values, _, err := q.LabelValues(r.Context(), name, nil, set...)
		return values, err
	})
}

func (h *handler) series(r *http.Request) (promAnswer, error) {
	s, err := h.selection(r, true)
	if err != nil {
		return promAnswer{}, err
	}
	q, err := h.Queryable.Querier(s.from, s.to)
	if err != nil {
		return promAnswer{}, err
	}
	defer q.Close()
	hints := &storage.SelectHints{Start: s.from, End: s.to, Func: "series"}
	sets := make([]storage.SeriesSet, len(s.sets))
	for i, set := range s.sets {
		sets[i] = q.Select(r.Context(), true, hints, set...)
	}
	merged := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	found := []labels.Labels{}
	for merged.Next() {
		found = append(found, merged.At().Labels().Copy())
	}
	return promAnswer{data: found}, merged.Err()
}

// An exemplarView is an exemplar as Prometheus answers it: the value a string, the time in seconds.
type exemplarView struct {
	Labels    labels.Labels     `json:"labels"`
	Value     model.SampleValue `json:"value"`
	Timestamp model.Time        `json:"timestamp"`
}

type exemplarSeries struct {
	SeriesLabels labels.Labels  `json:"seriesLabels"`
	Exemplars    []exemplarView `json:"exemplars"`
}

func (h *handler) exemplars(r *http.Request) (promAnswer, error) {
	from, to, err := formRange(r)
	if err != nil {
		return promAnswer{}, err
	}
	expr, err := h.parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		return promAnswer{}, badData("invalid parameter \"query\": %v", err)
	}
	found := []exemplarSeries{}
	selectors := parser.ExtractSelectors(expr)
	if len(selectors) == 0 {
		return promAnswer{data: found}, nil
	}
	q, err := h.ExemplarQueryable.ExemplarQuerier(r.Context())
	if err != nil {
		return promAnswer{}, err
	}
	results, err := q.Select(from, to, selectors...)
	for _, res := range results {
		found = append(found, exemplarSeries{res.SeriesLabels, exemplarViews(res.Exemplars)})
	}
	return promAnswer{data: found}, err
}

func exemplarViews(es []exemplar.Exemplar) []exemplarView {
	views := make([]exemplarView, len(es))
	for i, e := range es {
		views[i] = exemplarView{e.Labels, model.SampleValue(e.Value), model.Time(e.Ts)}
	}
	return views
}

// noMetadata answers Grafana, which asks for the types and help texts of metrics; the TSDB keeps none.
func noMetadata(*http.Request) (promAnswer, error) {
	return promAnswer{data: map[string]any{}}, nil
}
