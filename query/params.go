package query

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"github.com/braidhq/braid/telemetry"
)

// logParams are all that GET /api/v1/logs knows; pod may be repeated.
var logParams = map[string]bool{
	"namespace": true, "pod": true, "container": true, "severity": true, "since": true, "from": true, "to": true,
	"text": true, "trace_id": true, "tail": true, "limit": true, "follow": true, "previous": true,
}

func logQuery(r *http.Request, now time.Time) (q telemetry.LogQuery, err error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, badData("cannot read the parameters: %v", err)
	}
	for name, values := range v {
		if !logParams[name] {
			return q, badData("unknown parameter %q", name)
		}
		if len(values) > 1 && name != "pod" {
			return q, badData("parameter %q is given %d times", name, len(values))
		}
	}
	q = telemetry.LogQuery{
		Tenant: tenant(r), Namespace: v.Get("namespace"), Pods: v["pod"], Container: v.Get("container"), Text: v.Get("text"),
	}
	if s := v.Get("severity"); s != "" {
		if q.MinSeverity = telemetry.ParseSeverity([]byte(s)); q.MinSeverity == 0 {
			return q, badData("severity %q is none of trace, debug, info, warn, error, fatal", s)
		}
	}
	if err := decodeID(q.TraceID[:], v.Get("trace_id"), "trace_id"); err != nil {
		return q, badData("%v", err)
	}
	if err := logTimes(&q, v, now); err != nil {
		return q, err
	}
	if q.Tail, err = count(v, "tail"); err != nil {
		return q, err
	}
	if q.Limit, err = count(v, "limit"); err != nil {
		return q, err
	}
	if q.Follow, err = boolean(v, "follow"); err != nil {
		return q, err
	}
	q.Previous, err = boolean(v, "previous")
	return q, err
}

func logTimes(q *telemetry.LogQuery, v url.Values, now time.Time) error {
	from, err := optionalTime(v, "from")
	if err != nil {
		return err
	}
	to, err := optionalTime(v, "to")
	if err != nil {
		return err
	}
	if since := v.Get("since"); since != "" {
		d, err := parseDuration(since)
		if err != nil || d < 0 {
			return badData("since %q is no duration such as 90s, 1h30m or 2d", since)
		}
		if !from.IsZero() {
			return badData("since and from exclude each other")
		}
		from = now.Add(-d)
	}
	q.FromUnixNano, q.ToUnixNano = nanos(from), nanos(to)
	if q.FromUnixNano != 0 && q.ToUnixNano != 0 && q.FromUnixNano > q.ToUnixNano {
		return badData("from is after to")
	}
	return nil
}

func optionalTime(v url.Values, name string) (time.Time, error) {
	s := v.Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return t, badData("%s %q is neither RFC 3339 nor Unix seconds", name, s)
	}
	return t, nil
}

// parseTime reads RFC 3339 or Unix seconds, which may have a fraction.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > -1<<33 && n < 1<<33 { // within what nanoseconds can tell
		return time.Unix(n, 0).UTC(), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return time.Time{}, err
	}
	if !(f > -1<<33 && f < 1<<33) {
		return time.Time{}, strconv.ErrRange
	}
	return time.UnixMilli(int64(f * 1000)).UTC(), nil
}

// parseDuration reads Go's and Prometheus' durations and plain seconds.
func parseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f > -1<<33 && f < 1<<33 {
		return time.Duration(f * float64(time.Second)), nil
	}
	d, err := model.ParseDuration(s)
	return time.Duration(d), err
}

func count(v url.Values, name string) (int, error) {
	s := v.Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, badData("%s %q is no number of lines", name, s)
	}
	return n, nil
}

func boolean(v url.Values, name string) (bool, error) {
	s := v.Get(name)
	if s == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, badData("%s %q is neither true nor false", name, s)
	}
	return b, nil
}
