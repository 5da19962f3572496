package query

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// jaegerQuery reads the parameters of a search: service, operation, tags (a JSON object of strings), tag (key:value, may
// be repeated), start, end (Unix microseconds), minDuration, maxDuration ("1.2ms") and limit. Unlike Jaeger's, a search
// may leave out the service, and without start and end it goes over all that is stored.
func jaegerQuery(r *http.Request) (q telemetry.TraceQuery, err error) {
	q = telemetry.TraceQuery{Tenant: tenant(r), Service: r.FormValue("service"), Operation: r.FormValue("operation")}
	if q.FromUnixNano, err = jaegerTime(r, "start"); err != nil {
		return q, err
	}
	if q.ToUnixNano, err = jaegerTime(r, "end"); err != nil {
		return q, err
	}
	if q.ToUnixNano != 0 {
		q.ToUnixNano += int64(time.Microsecond) // Jaeger's end is in
	}
	if q.MinNano, err = jaegerDuration(r, "minDuration"); err != nil {
		return q, err
	}
	if q.MaxNano, err = jaegerDuration(r, "maxDuration"); err != nil {
		return q, err
	}
	if q.MaxNano != 0 && q.MaxNano < q.MinNano {
		return q, badData("maxDuration is below minDuration")
	}
	q.Limit = telemetry.DefaultTraces
	if s := r.FormValue("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 1 || q.Limit > maxJaegerTraces {
			return q, badData("limit %q is no number from 1 to %d", s, maxJaegerTraces)
		}
	}
	return q, jaegerTags(&q, r)
}

func jaegerTime(r *http.Request, name string) (int64, error) {
	s := r.FormValue(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n >= math.MaxInt64/1000 {
		return 0, badData("%s %q is no time in Unix microseconds", name, s)
	}
	return n * 1000, nil
}

func jaegerDuration(r *http.Request, name string) (int64, error) {
	s := r.FormValue(name)
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, badData("%s %q is no duration such as 1.2s, 100ms or 500us", name, s)
	}
	return int64(d), nil
}

// jaegerTags puts tags into q. Those that Jaeger makes of a span's fields ask for these fields.
func jaegerTags(q *telemetry.TraceQuery, r *http.Request) error {
	tags := map[string]string{}
	for _, tag := range r.Form["tag"] {
		key, value, ok := strings.Cut(tag, ":")
		if !ok {
			return badData("tag %q is not of the form key:value", tag)
		}
		tags[key] = value
	}
	for _, object := range r.Form["tags"] {
		if err := json.Unmarshal([]byte(object), &tags); err != nil {
			return badData("tags %q are no JSON object of strings: %v", object, err)
		}
	}
	for key, value := range tags {
		switch statuses, known := tagStatuses[key+"="+value]; {
		case known:
			q.Statuses = both(q.Statuses, statuses)
		case key == "span.kind" && slices.Contains(kindNames[:], value):
			q.Kinds = []telemetry.SpanKind{telemetry.SpanKind(slices.Index(kindNames[:], value))}
		default:
			q.Attrs = append(q.Attrs, telemetry.TextAttr{Key: key, Value: value})
		}
	}
	slices.SortFunc(q.Attrs, func(a, b telemetry.TextAttr) int { return strings.Compare(a.Key, b.Key) })
	return nil
}

var tagStatuses = map[string][]telemetry.StatusCode{
	"error=true":             {telemetry.StatusError},
	"error=false":            {telemetry.StatusUnset, telemetry.StatusOK},
	"otel.status_code=ERROR": {telemetry.StatusError},
	"otel.status_code=OK":    {telemetry.StatusOK},
}

// both returns what is in a and b; an a of nil is everything.
func both(a, b []telemetry.StatusCode) []telemetry.StatusCode {
	if a == nil {
		return b
	}
	kept := slices.DeleteFunc(slices.Clone(a), func(c telemetry.StatusCode) bool { return !slices.Contains(b, c) })
	if len(kept) == 0 { // which no span has
		return []telemetry.StatusCode{math.MaxUint8}
	}
	return kept
}

func jaegerIDs(all []string) (ids []telemetry.TraceID, err error) {
	if len(all) > maxJaegerTraces {
		return nil, badData("more than %d trace ids", maxJaegerTraces)
	}
	for _, s := range all {
		id, err := jaegerID(s)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// jaegerID reads a trace id, whose leading zeros Jaeger leaves out.
func jaegerID(s string) (id telemetry.TraceID, err error) {
	digits := s
	if len(s) > 0 && len(s) < 32 {
		digits = strings.Repeat("0", 32-len(s)) + s
	}
	if err := decodeID(id[:], digits, "trace id"); err != nil || id.IsZero() {
		return id, badData("a trace id has up to 32 hex digits that are not all zero, and %q has not", s)
	}
	return id, nil
}
