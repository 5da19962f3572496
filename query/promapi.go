package query

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxPoints is how many points of a series a range query may ask for; it is Prometheus' limit.
const maxPoints = 11_000

type dataBody struct {
	Status   string   `json:"status"`
	Data     any      `json:"data"`
	Warnings []string `json:"warnings,omitempty"`
	Infos    []string `json:"infos,omitempty"`
}

// An answer of Prometheus' API.
type promAnswer struct {
	data            any
	warnings, infos []string
}

// data makes a handler of f, whose answer it wraps as Prometheus does.
func (h *handler) data(f func(r *http.Request) (promAnswer, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := r.ParseForm(); err != nil {
			return badData("cannot read the parameters: %v", err)
		}
		a, err := f(r)
		if err != nil {
			return promError(err)
		}
		return writeJSON(w, http.StatusOK, dataBody{"success", a.data, a.warnings, a.infos})
	}
}

func promError(err error) error {
	var canceled promql.ErrQueryCanceled
	var timeout promql.ErrQueryTimeout
	var storage promql.ErrStorage
	var known *apiError
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return &apiError{http.StatusServiceUnavailable, "canceled", err.Error()}
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return &apiError{http.StatusServiceUnavailable, "timeout", err.Error()}
	case errors.As(err, &storage):
		return &apiError{http.StatusInternalServerError, "internal", err.Error()}
	}
	return &apiError{http.StatusUnprocessableEntity, "execution", err.Error()}
}

type queryData struct {
	ResultType parser.ValueType `json:"resultType"`
	Result     parser.Value     `json:"result"`
}

func (h *handler) instant(r *http.Request) (promAnswer, error) {
	at, err := formTime(r, "time", h.Now())
	if err != nil {
		return promAnswer{}, err
	}
	ctx, cancel, err := withTimeout(r)
	if err != nil {
		return promAnswer{}, err
	}
	defer cancel()
	q, err := h.engine.NewInstantQuery(ctx, h.Queryable, nil, r.FormValue("query"), at)
	return h.exec(ctx, r, q, err)
}

func (h *handler) ranged(r *http.Request) (promAnswer, error) {
	start, err := formTime(r, "start", time.Time{})
	if err != nil {
		return promAnswer{}, err
	}
	end, err := formTime(r, "end", time.Time{})
	if err != nil {
		return promAnswer{}, err
	}
	step, err := parseDuration(r.FormValue("step"))
	switch {
	case err != nil || step <= 0:
		return promAnswer{}, badData("step %q is no duration above zero", r.FormValue("step"))
	case start.IsZero() || end.IsZero():
		return promAnswer{}, badData("start and end are needed")
	case end.Before(start):
		return promAnswer{}, badData("end is before start")
	case end.Sub(start)/step > maxPoints:
		return promAnswer{}, badData("more than %d points of a series: ask for a larger step", maxPoints)
	}
	ctx, cancel, err := withTimeout(r)
	if err != nil {
		return promAnswer{}, err
	}
	defer cancel()
	q, err := h.engine.NewRangeQuery(ctx, h.Queryable, nil, r.FormValue("query"), start, end, step)
	return h.exec(ctx, r, q, err)
}

// exec runs a query that was made, or says why it was not.
func (h *handler) exec(ctx context.Context, r *http.Request, q promql.Query, err error) (promAnswer, error) {
	if err != nil {
		return promAnswer{}, badData("invalid parameter \"query\": %v", err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return promAnswer{}, res.Err
	}
	data, err := json.Marshal(queryData{res.Value.Type(), res.Value}) // before Close, which takes the points back
	if err != nil {
		return promAnswer{}, err
	}
	a := promAnswer{data: json.RawMessage(data)}
	a.warnings, a.infos = res.Warnings.AsStrings(r.FormValue("query"), 10, 10)
	return a, nil
}

func withTimeout(r *http.Request) (context.Context, context.CancelFunc, error) {
	s := r.FormValue("timeout")
	if s == "" {
		return r.Context(), func() {}, nil
	}
	d, err := parseDuration(s)
	if err != nil || d <= 0 {
		return nil, nil, badData("timeout %q is no duration above zero", s)
	}
	ctx, cancel := context.WithTimeout(r.Context(), d)
	return ctx, cancel, nil
}

func formTime(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	s := r.FormValue(name)
	if s == "" {
		return otherwise, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return t, badData("invalid parameter %q: %q is neither RFC 3339 nor Unix seconds", name, s)
	}
	return t, nil
}
