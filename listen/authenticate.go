package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A ReviewToken asks the Kubernetes API server whose token it is, and whether it is made for one of the audiences (none:
// the API server's own). A token that is no good is an error with [ErrToken] in it; any other error means that nobody
// could tell.
type ReviewToken func(ctx context.Context, token string, audiences []string) (Identity, error)

// ErrToken says that a token is unknown, expired, or made for somebody else.
var ErrToken = errors.New("the bearer token is not valid")

// A Refusal says why a request was not let in.
type Refusal struct {
	Status int // 401: who is it; 403: not this one; 503: nobody can tell now
	text   string
	err    error // what the sender is not told
}

func (r *Refusal) Error() string { return r.text }
func (r *Refusal) Unwrap() error { return r.err }

func unauthorized(text string, err error) *Refusal {
	return &Refusal{http.StatusUnauthorized, "Unauthorized: " + text, err}
}

// Authenticate returns who a request is from by its headers "authorization" and its connection's TLS state (nil: none).
// The error is a *Refusal. A listener that does not ask returns the zero Identity.
func (l *Listener) Authenticate(ctx context.Context, authorization []string, state *tls.ConnectionState) (Identity, error) {
	if !l.config.Authenticates() {
		return Identity{}, nil
	}
	who, err := l.identify(ctx, authorization, state)
	if err == nil && l.config.Auth != nil && len(l.config.Auth.Users) > 0 && !slices.Contains(l.config.Auth.Users, who.Name) {
		err = &Refusal{http.StatusForbidden, fmt.Sprintf("Forbidden: user %q is none of those who are let in here", who.Name), nil}
	}
	if err != nil {
		l.metrics.refused.WithLabelValues(reasons[asRefusal(err).Status]).Inc()
		return Identity{}, err
	}
	return who, nil
}

// reasons are the values of the metric's label.
var reasons = map[int]string{
	http.StatusUnauthorized: "unauthenticated", http.StatusForbidden: "user", http.StatusServiceUnavailable: "unavailable",
}

func asRefusal(err error) *Refusal {
	var r *Refusal
	if !errors.As(err, &r) {
		panic("BUG: not a refusal: " + err.Error())
	}
	return r
}

func (l *Listener) identify(ctx context.Context, authorization []string, state *tls.ConnectionState) (who Identity, err error) {
	if l.config.certificates() {
		if who, err = l.tls.client(state, l.now()); err != nil {
			return who, unauthorized(err.Error(), nil)
		}
	}
	auth := l.config.Auth
	if auth == nil || (l.tokens == nil && auth.Kubernetes == nil) {
		return who, nil
	}
	token, err := bearer(authorization)
	if err != nil {
		return who, unauthorized(err.Error(), nil)
	}
	if l.tokens != nil {
		name, ok := l.tokens.get().find(token)
		if !ok {
			return who, unauthorized(ErrToken.Error(), nil)
		}
		return Identity{Name: name}, nil
	}
	who, err = l.options.Review(ctx, token, auth.Kubernetes.Audiences)
	switch {
	case errors.Is(err, ErrToken):
		return who, unauthorized(ErrToken.Error(), err)
	case err != nil:
		return who, &Refusal{http.StatusServiceUnavailable, "cannot ask Kubernetes whose token it is: try again", err}
	}
	return who, nil
}

// bearer takes the token out of the one header "authorization" (RFC 6750, 2.1).
func bearer(authorization []string) (string, error) {
	if len(authorization) == 0 {
		return "", errors.New("a bearer token is needed")
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	token = strings.Trim(token, " ")
	if len(authorization) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errors.New("the header authorization is not \"Bearer\" and one token")
	}
	return token, nil
}

// authenticated serves next to those whom the listener lets in, with their Identity in the request's context. Nothing of
// a body is read before. Paths in Open are served to everyone.
func (l *Listener) authenticated(next http.Handler) http.Handler {
	if !l.config.Authenticates() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(l.options.Open, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		who, err := l.Authenticate(r.Context(), r.Header.Values("Authorization"), r.TLS)
		if err == nil {
			next.ServeHTTP(w, r.WithContext(WithIdentity(r.Context(), who)))
			return
		}
		refusal := asRefusal(err)
		switch refusal.Status {
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", `Bearer realm="braid"`)
		case http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", "1")
		}
		// Who is not let in does not get to send the rest of a body either.
		w.Header().Set("Connection", "close")
		http.Error(w, refusal.text, refusal.Status)
		if l.options.Refused != nil {
			l.options.Refused(r, refusal)
		}
	})
}
