package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/braidhq/braid/listen"
	"github.com/braidhq/braid/telemetry"
)

// A reader gives one request what its caller may read of lines and spans: those of the namespaces whose logs the caller may
// read, and those of no namespace only to who may read all. It is the only way to them in this package. It is for one
// goroutine.
type reader struct {
	sources *sources
	access  Access
	ctx     context.Context // of the request
	who     listen.Identity
	tenant  string
	now     func() time.Time
	known   map[string]finding
	limited bool // there may be what the caller may not read
}

// sources are what can be read; nobody but a reader asks them.
type sources struct {
	logs   Logs
	traces Traces
	search TraceSearch
}

// A finding is whether a namespace may be read, as it was found out a moment ago.
type finding struct {
	yes bool
	at  time.Time
}

// findingHolds is how long a request does not ask again: an answer that is followed for hours ends soon after its right.
const findingHolds = time.Second

// How many namespaces of one request are asked about, and how many of them at once.
const (
	maxNamespaces = 2000
	maxReviews    = 16
)

// reader returns the reader of a request.
func (h *handler) reader(r *http.Request) (*reader, error) {
	who, _ := listen.IdentityOf(r.Context())
	rd := &reader{
		sources: &h.sources, access: h.access, ctx: r.Context(), who: who, tenant: tenant(r), now: h.Now, known: map[string]finding{},
	}
	all, err := rd.may("")
	if err != nil {
		return nil, err
	}
	rd.limited = !all
	return rd, nil
}

// warn says in the answer's header, as the API server warns, that there may be more than the caller may read.
func (rd *reader) warn(w http.ResponseWriter) {
	if rd.limited {
		w.Header().Set("Warning", `299 - "only what lies in namespaces whose pods/log you may get is shown"`)
	}
}

// may reports whether the caller may read what lies in a namespace. Who may read all may read each, as the API server has
// it for a list over all namespaces.
func (rd *reader) may(namespace string) (bool, error) {
	now := rd.now()
	if f, ok := rd.known[namespace]; ok && now.Sub(f.at) < findingHolds {
		return f.yes, nil
	}
	yes, err := rd.ask(namespace)
	if err != nil {
		return false, err
	}
	rd.find(namespace, yes, now)
	return yes, nil
}

func (rd *reader) ask(namespace string) (bool, error) {
	yes, err := rd.access.Logs(rd.ctx, rd.who, "")
	if err == nil && !yes && namespace != "" {
		yes, err = rd.access.Logs(rd.ctx, rd.who, namespace)
	}
	if err != nil {
		return false, unknownAccess(rd.ctx, err)
	}
	return yes, nil
}

func (rd *reader) find(namespace string, yes bool, now time.Time) {
	rd.known[namespace] = finding{yes, now}
}

// readable returns those of the namespaces that list names which the caller may read; nil, without asking for them, if
// that is all. Who may read none of them is refused.
func (rd *reader) readable(list func(context.Context, string) ([]string, error)) ([]string, error) {
	if !rd.limited {
		return nil, nil
	}
	names, err := list(rd.ctx, rd.tenant)
	if err != nil {
		return nil, err
	}
	if len(names) > maxNamespaces {
		return nil, badData("more than %d namespaces are stored: name one", maxNamespaces)
	}
	answers, failures := make([]bool, len(names)), make([]error, len(names))
	var all sync.WaitGroup
	next := make(chan int)
	for range min(maxReviews, len(names)) {
		all.Go(func() {
			for i := range next {
				answers[i], failures[i] = rd.ask(names[i])
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	all.Wait()
	now, readable := rd.now(), []string{}
	for i, name := range names {
		if failures[i] != nil {
			return nil, failures[i]
		}
		rd.find(name, answers[i], now)
		if answers[i] {
			readable = append(readable, name)
		}
	}
	if len(readable) == 0 {
		return nil, forbiddenLogs(rd.who, "", "")
	}
	return readable, nil
}

var errEnoughLines = errors.New("as many lines as were asked for")

// logs yields the lines that q asks for and the caller may read. A caller who asks for what may not be read is refused.
func (rd *reader) logs(q telemetry.LogQuery, yield func(*telemetry.LogRecord) error) error {
	q, err := rd.logQuery(q)
	if err != nil {
		return err
	}
	left, shown := q.Limit, q.Namespace
	if rd.limited {
		q.Limit = 0 // lines that are left out do not count
	}
	err = rd.sources.logs.Logs(rd.ctx, q, func(r *telemetry.LogRecord) error {
		namespace := namespaceOf(r.Resource)
		switch yes, err := rd.may(namespace); {
		case err != nil:
			return err
		case !yes && q.Namespace != "": // any more
			return forbiddenLogs(rd.who, q.Namespace, onlyPod(q.Pods))
		case !yes:
			return nil // of a namespace that may not be read
		}
		if namespace != shown {
			shown = namespace
			noteNamespace(rd.ctx, namespace)
		}
		if err := yield(r); err != nil {
			return err
		}
		if left--; rd.limited && left == 0 {
			return errEnoughLines
		}
		return nil
	})
	if errors.Is(err, errEnoughLines) {
		return nil
	}
	return err
}

// logQuery returns q without the namespaces that may not be read. A query that follows goes on over all of them, since
// there may be more tomorrow; its lines are looked at one by one.
func (rd *reader) logQuery(q telemetry.LogQuery) (telemetry.LogQuery, error) {
	q.Tenant = rd.tenant
	if q.Namespace != "" {
		noteNamespace(rd.ctx, q.Namespace)
		yes, err := rd.may(q.Namespace)
		if err == nil && !yes {
			err = forbiddenLogs(rd.who, q.Namespace, onlyPod(q.Pods))
		}
		return q, err
	}
	namespaces, err := rd.readable(rd.sources.logs.Namespaces)
	if !q.Follow {
		q.Namespaces = namespaces
	}
	return q, err
}

func onlyPod(pods []string) string {
	if len(pods) == 1 {
		return pods[0]
	}
	return ""
}

func namespaceOf(r *telemetry.Resource) string {
	if r == nil {
		return ""
	}
	return r.Namespace
}

// Hidden counts what of a trace the caller may not read.
type Hidden struct {
	Spans int `json:"spans"`
	Lines int `json:"lines"`
}

// String returns "3 spans and 1 line in namespaces you may not read".
func (h Hidden) String() string {
	plural := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	what := plural(h.Spans, "span") + " and " + plural(h.Lines, "line")
	switch {
	case h.Lines == 0:
		what = plural(h.Spans, "span")
	case h.Spans == 0:
		what = plural(h.Lines, "line")
	}
	return what + " in namespaces you may not read"
}

// trace returns what the caller may read of a trace; nil if that is nothing, whether or not there is more.
func (rd *reader) trace(id telemetry.TraceID) (t *telemetry.Trace, hidden Hidden, err error) {
	t, err = rd.sources.traces.Trace(rd.ctx, rd.tenant, id)
	if t == nil || err != nil {
		return nil, hidden, err
	}
	hides := func(r *telemetry.Resource) bool {
		yes, merr := rd.may(namespaceOf(r))
		if err == nil {
			err = merr
		}
		if yes {
			noteNamespace(rd.ctx, namespaceOf(r))
		}
		return !yes
	}
	spans, lines := len(t.Spans), len(t.Logs)
	t.Spans = slices.DeleteFunc(t.Spans, func(s telemetry.SpanRecord) bool { return hides(s.Resource) })
	t.Logs = slices.DeleteFunc(t.Logs, func(l telemetry.LogRecord) bool { return hides(l.Resource) })
	hidden = Hidden{spans - len(t.Spans), lines - len(t.Logs)}
	if err != nil || len(t.Spans)+len(t.Logs) == 0 {
		return nil, Hidden{}, err
	}
	return t, hidden, nil
}

func (rd *reader) services() ([]string, error) {
	namespaces, err := rd.readable(rd.sources.search.Namespaces)
	if err != nil {
		return nil, err
	}
	return rd.sources.search.Services(rd.ctx, rd.tenant, namespaces)
}

func (rd *reader) operations(service string) ([]telemetry.Operation, error) {
	namespaces, err := rd.readable(rd.sources.search.Namespaces)
	if err != nil {
		return nil, err
	}
	return rd.sources.search.Operations(rd.ctx, rd.tenant, service, namespaces)
}

// find returns the traces that have a matching span which the caller may read.
func (rd *reader) findTraces(q telemetry.TraceQuery) (ids []telemetry.TraceID, err error) {
	q.Tenant = rd.tenant
	if q.Namespaces, err = rd.readable(rd.sources.search.Namespaces); err != nil {
		return nil, err
	}
	return rd.sources.search.FindTraces(rd.ctx, q)
}
