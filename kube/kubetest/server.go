// Package kubetest stands in for an API server: over HTTPS it answers TokenReview and SubjectAccessReview as Kubernetes
// does with service account tokens and RBAC.
package kubetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/braidhq/braid/listen/listentest"
)

// ClusterAudience is what tokens of the API server itself are made for.
const ClusterAudience = "https://kubernetes.default.svc.cluster.local"

// ownToken is what a Reviewer shows to the server.
const ownToken = "the-aggregator-itself"

// A Token is what the server knows of one.
type Token struct {
	User      authenticationv1.UserInfo
	Audiences []string
	Expired   bool
}

// A Server is an API server.
type Server struct {
	http *httptest.Server
	ca   *listentest.CA
	t    testing.TB

	mu     sync.Mutex
	tokens map[string]Token
	rules  map[string]bool
	asked  []string
	fail   int
	hold   chan struct{}
}

// New starts a server that knows nobody. It stops with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, ca: listentest.NewCA(t), tokens: map[string]Token{}, rules: map[string]bool{}}
	s.http = httptest.NewUnstartedServer(s)
	s.http.TLS = listentest.ServerConfig(t, s.ca)
	s.http.StartTLS()
	t.Cleanup(s.http.Close)
	return s
}

// Kubeconfig writes one for the aggregator and returns its path.
func (s *Server) Kubeconfig() string { return s.KubeconfigOf(ownToken) }

// KubeconfigOf writes one for whoever has the token.
func (s *Server) KubeconfigOf(token string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	ca := listentest.Write(s.t, dir, "ca.crt", s.ca.PEM)
	return listentest.Write(s.t, dir, "kubeconfig", fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: me, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: me}}]
`, s.http.URL, filepath.ToSlash(ca), token))
}

// SetToken makes a token known.
func (s *Server) SetToken(token string, of Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = of
}

// Allow lets a user or a group ("group:NAME") get pods/log in a namespace; "" is all of them.
func (s *Server) Allow(subject, namespace string) { s.set(subject+" logs "+namespace, true) }

// Forbid takes back what Allow has given.
func (s *Server) Forbid(subject, namespace string) { s.set(subject+" logs "+namespace, false) }

// AllowPath lets a subject do verb to a path that is no resource; one that ends in * is a prefix.
func (s *Server) AllowPath(subject, verb, path string) { s.set(subject+" "+verb+" path "+path, true) }

func (s *Server) set(rule string, allowed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules[rule] = allowed
}

// Fail makes the server answer with a status; 0 is as it should.
func (s *Server) Fail(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = status
}

// Hold makes questions wait until the returned function is called.
func (s *Server) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold := make(chan struct{})
	s.hold = hold
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hold = nil
		close(hold)
	}
}

// Asked returns the questions so far.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer any
	var question string
	var err error
	switch r.URL.Path {
	case "/apis/authentication.k8s.io/v1/tokenreviews":
		review := &authenticationv1.TokenReview{}
		err = json.NewDecoder(r.Body).Decode(review)
		question, answer = "token "+review.Spec.Token, review
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
		review := &authorizationv1.SubjectAccessReview{}
		err = json.NewDecoder(r.Body).Decode(review)
		question, answer = "access "+s.subject(&review.Spec), review
	default:
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, question)
	fail, hold := s.fail, s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+ownToken:
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	case r.Method != http.MethodPost || err != nil:
		http.Error(w, fmt.Sprint(r.Method, " ", err), http.StatusBadRequest)
	case fail != 0:
		http.Error(w, "as the test wishes", fail)
	default:
		s.answer(w, answer)
	}
}

func (s *Server) answer(w http.ResponseWriter, review any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r := review.(type) {
	case *authenticationv1.TokenReview:
		r.Status = s.whose(r.Spec)
	case *authorizationv1.SubjectAccessReview:
		r.Status.Allowed = s.allowed(&r.Spec)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	if err := json.NewEncoder(w).Encode(review); err != nil {
		s.t.Error(err)
	}
}

func (s *Server) whose(spec authenticationv1.TokenReviewSpec) (status authenticationv1.TokenReviewStatus) {
	wanted := spec.Audiences
	if len(wanted) == 0 {
		wanted = []string{ClusterAudience}
	}
	t, known := s.tokens[spec.Token]
	for _, a := range t.Audiences {
		if slices.Contains(wanted, a) {
			status.Audiences = append(status.Audiences, a)
		}
	}
	switch {
	case !known:
		status.Error = "invalid bearer token"
	case t.Expired:
		status.Error = "[invalid bearer token, service account token has expired]"
	case len(status.Audiences) == 0:
		status.Error = fmt.Sprintf("[invalid bearer token, token audiences %q is invalid for the target audiences %q]", t.Audiences, wanted)
	default:
		status.Authenticated, status.User = true, t.User
		return status
	}
	status.Audiences = nil
	return status
}

func (s *Server) subject(spec *authorizationv1.SubjectAccessReviewSpec) string {
	if a := spec.ResourceAttributes; a != nil {
		return fmt.Sprintf("%s %s %s/%s in %q", spec.User, a.Verb, a.Resource, a.Subresource, a.Namespace)
	}
	if a := spec.NonResourceAttributes; a != nil {
		return fmt.Sprintf("%s %s %s", spec.User, a.Verb, a.Path)
	}
	return spec.User
}

func (s *Server) allowed(spec *authorizationv1.SubjectAccessReviewSpec) bool {
	subjects := []string{spec.User}
	for _, g := range spec.Groups {
		subjects = append(subjects, "group:"+g)
	}
	for _, subject := range subjects {
		if a := spec.ResourceAttributes; a != nil && a.Group == "" && a.Resource == "pods" && a.Subresource == "log" && a.Verb == "get" {
			if s.rules[subject+" logs "] || s.rules[subject+" logs "+a.Namespace] {
				return true
			}
		}
		a := spec.NonResourceAttributes
		for rule, allowed := range s.rules {
			if a == nil || !allowed {
				continue
			}
			if path, ok := strings.CutPrefix(rule, subject+" "+a.Verb+" path "); ok && matches(path, a.Path) {
				return true
			}
		}
	}
	return false
}

func matches(rule, path string) bool {
	prefix, wild := strings.CutSuffix(rule, "*")
	return path == rule || (wild && strings.HasPrefix(path, prefix))
}
