package query

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/braidhq/braid/listen"
)

// Bounds of what one line of the audit log says.
const (
	auditNamespaces = 100
	auditQueryBytes = 4 << 10
)

// An auditEntry gathers what the audit log is to say of one request.
type auditEntry struct {
	following func()

	mu         sync.Mutex
	namespaces map[string]bool
	err        error
}

type auditKey struct{}

func entryOf(ctx context.Context) *auditEntry {
	e, _ := ctx.Value(auditKey{}).(*auditEntry)
	return e
}

// note keeps the first error of a request for its line in the audit log.
func note(ctx context.Context, err error) {
	if e := entryOf(ctx); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.err == nil {
			e.err = err
		}
	}
}

// noteNamespace keeps that a request asked for a namespace, or was shown something of it.
func noteNamespace(ctx context.Context, namespace string) {
	if e := entryOf(ctx); e != nil && namespace != "" {
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.namespaces) < auditNamespaces {
			e.namespaces[namespace] = true
		}
	}
}

// noteFollowing writes a first line at once: an answer that is followed may not end for days.
func noteFollowing(ctx context.Context) {
	if e := entryOf(ctx); e != nil {
		e.following()
	}
}

// Audit writes a line to log for every request that next has answered, except for the paths in silent: who asked for
// what, what came of it, how much was sent; never a record. A request that is followed also has one when it begins.
func Audit(log *slog.Logger, next http.Handler, silent ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(silent, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		begin, out := time.Now(), &countingWriter{ResponseWriter: w, status: http.StatusOK}
		e := &auditEntry{namespaces: map[string]bool{}}
		r = r.WithContext(context.WithValue(r.Context(), auditKey{}, e))
		e.following = func() { log.LogAttrs(r.Context(), slog.LevelInfo, "read", e.attrs(r, out, "begun", begin)...) }
		defer func() { log.LogAttrs(r.Context(), slog.LevelInfo, "read", e.attrs(r, out, "done", begin)...) }()
		next.ServeHTTP(out, r)
	})
}

// AuditRefusal returns what writes a line for a request that a listener has not let in.
func AuditRefusal(log *slog.Logger) func(*http.Request, *listen.Refusal) {
	return func(r *http.Request, refusal *listen.Refusal) {
		err := error(refusal)
		if reason := refusal.Unwrap(); reason != nil {
			err = fmt.Errorf("%w: %w", refusal, reason)
		}
		e, out := &auditEntry{err: err}, &countingWriter{status: refusal.Status}
		log.LogAttrs(r.Context(), slog.LevelInfo, "read", e.attrs(r, out, "refused", time.Now())...)
	}
}

func (e *auditEntry) attrs(r *http.Request, out *countingWriter, stage string, begin time.Time) []slog.Attr {
	e.mu.Lock()
	defer e.mu.Unlock()
	who, _ := listen.IdentityOf(r.Context())
	asked := r.URL.RawQuery
	if len(r.PostForm) > 0 {
		asked = r.PostForm.Encode()
	}
	endpoint := r.Pattern // which the mux has set that took it
	if endpoint == "" {
		endpoint = r.Method + " " + r.URL.Path
	}
	attrs := []slog.Attr{
		slog.String("stage", stage), slog.String("user", who.Name), slog.Any("groups", append([]string{}, who.Groups...)),
		slog.String("remote", r.RemoteAddr), slog.String("endpoint", endpoint), slog.String("path", r.URL.Path),
		slog.Any("namespaces", append([]string{}, slices.Sorted(maps.Keys(e.namespaces))...)),
		slog.String("query", asked[:min(len(asked), auditQueryBytes)]), slog.Int("status", out.status), slog.Int64("bytes", out.bytes),
		slog.Float64("seconds", time.Since(begin).Seconds()),
	}
	if e.err != nil {
		attrs = append(attrs, slog.String("error", e.err.Error()))
	}
	return attrs
}

// A countingWriter remembers how a request was answered.
type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
	begun  bool
}

func (w *countingWriter) WriteHeader(status int) {
	if !w.begun {
		w.status, w.begun = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.begun = true
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
