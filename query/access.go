package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/braidhq/braid/listen"
)

// Access says what a caller may read. An error means that nobody can tell, and then nothing is shown.
type Access interface {
	// Logs reports whether who may read the logs of a namespace. "" is every namespace, and what lies in none.
	Logs(ctx context.Context, who listen.Identity, namespace string) (bool, error)
	// Path reports whether who may do verb (get, post) to a path that is no resource of Kubernetes, such as /metrics.
	Path(ctx context.Context, who listen.Identity, verb, path string) (bool, error)
}

// Everything is the access of a configuration without access control: whoever is let in may read all there is.
type Everything struct{}

// Logs implements Access.
func (Everything) Logs(context.Context, listen.Identity, string) (bool, error) { return true, nil }

// Path implements Access.
func (Everything) Path(context.Context, listen.Identity, string, string) (bool, error) {
	return true, nil
}

// samplesPath is the path that who wants to query metrics must be allowed to get. It stands for all of Prometheus' API.
const samplesPath = "/api/v1/query"

// The texts are those with which the API server refuses (k8s.io/apiserver, handlers/responsewriters).

func forbidden(format string, args ...any) error {
	return &apiError{http.StatusForbidden, "forbidden", fmt.Sprintf(format, args...)}
}

func forbiddenPath(who listen.Identity, verb, path string) error {
	return forbidden("forbidden: User %q cannot %s path %q", who.Name, verb, path)
}

// forbiddenLogs refuses a question about a pod ("": some) in a namespace ("": all).
func forbiddenLogs(who listen.Identity, namespace, pod string) error {
	what, where := "pods", "at the cluster scope"
	if pod != "" {
		what = fmt.Sprintf("pods %q", pod)
	}
	if namespace != "" {
		where = fmt.Sprintf("in the namespace %q", namespace)
	}
	return forbidden("%s is forbidden: User %q cannot get resource \"pods/log\" in API group \"\" %s", what, who.Name, where)
}

// unknownAccess answers when nobody can tell; why is for the audit log.
func unknownAccess(ctx context.Context, why error) error {
	note(ctx, why)
	return &apiError{http.StatusServiceUnavailable, "unavailable", "cannot ask Kubernetes what you may read: try again"}
}

// Guard lets those through to next who may do to the request's path what its method says.
func Guard(access Access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := listen.IdentityOf(r.Context())
		// The path as a mux takes it: a rule for /metrics* is none for what /metrics/../x means.
		clean := path.Clean("/" + r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/") && clean != "/" {
			clean += "/"
		}
		verb := strings.ToLower(r.Method)
		yes, err := access.Path(r.Context(), who, verb, clean)
		switch {
		case err != nil:
			writeError(w, unknownAccess(r.Context(), err))
		case !yes:
			writeError(w, forbiddenPath(who, verb, clean))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// samples lets only those through to f who may query metrics: who may read the logs of every namespace, or may get
// samplesPath. Series have no namespace that could be trusted (they may be aggregated, renamed, or of the cluster itself),
// so nothing is shown of them to anybody else.
func (h *handler) samples(f func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, _ := listen.IdentityOf(r.Context())
		yes, err := h.access.Logs(r.Context(), who, "")
		if err == nil && !yes {
			yes, err = h.access.Path(r.Context(), who, "get", samplesPath)
		}
		switch {
		case err != nil:
			return unknownAccess(r.Context(), err)
		case !yes:
			return forbiddenPath(who, "get", samplesPath)
		}
		return f(w, r)
	}
}

// told returns err as the caller of r may hear it. What this package says is about the request; what a store says may tell
// of anything, and is for those who may read everything, and for the audit log.
func (h *handler) told(r *http.Request, err error) error {
	note(r.Context(), err)
	var ours *apiError
	if errors.As(err, &ours) {
		return err
	}
	who, _ := listen.IdentityOf(r.Context())
	if yes, aerr := h.access.Logs(r.Context(), who, ""); aerr == nil && yes {
		return err
	}
	e := asAPIError(err)
	return &apiError{e.status, e.typ, "the aggregator cannot answer; its audit log says why"}
}
