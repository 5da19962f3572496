package kube

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorization "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/braidhq/braid/listen"
)

// How long answers hold. A yes that is taken back, and a no that becomes a yes, is known so much later at most.
const (
	yesHolds = 30 * time.Second
	noHolds  = 5 * time.Second
)

// Bounds of the questions: answers remembered of each kind, questions at the API server and questions waiting at once, and
// how long one may take.
const (
	maxAnswers    = 10_000
	maxAsking     = 32
	maxWaiting    = 1024
	reviewTimeout = 10 * time.Second
)

// ReviewerOptions of a Reviewer.
type ReviewerOptions struct {
	Kubeconfig string // a file; "": as a pod reaches its API server
	UserAgent  string
	Registerer prometheus.Registerer // nil: unregistered
	// Away hears when the API server cannot be asked, and with nil when it can again; each is told once.
	Away func(error)

	now func() time.Time // in tests
}

// A Reviewer asks the API server whose a token is (TokenReview) and who may do what (SubjectAccessReview); the service
// account that it runs as needs the cluster role system:auth-delegator. Answers are remembered for a short time, and one
// question is asked once however many wait for its answer. It is safe for concurrent use.
type Reviewer struct {
	client  *http.Client
	tokens  authentication.TokenReviewInterface
	access  authorization.SubjectAccessReviewInterface
	whose   *answers[listen.Identity]
	may     *answers[struct{}]
	metrics *metrics
	away    func(error)

	mu     sync.Mutex
	isAway bool
}

// NewReviewer returns a reviewer. It does not speak to the API server yet.
func NewReviewer(o ReviewerOptions) (*Reviewer, error) {
	cfg, err := rest.InClusterConfig()
	if o.Kubeconfig != "" {
		cfg, err = clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot reach a Kubernetes API server: %w", err)
	}
	cfg.UserAgent, cfg.Timeout = o.UserAgent, reviewTimeout
	cfg.ContentType = runtime.ContentTypeJSON
	cfg.QPS = -1 // bounded here, by how many are asked at once
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot reach a Kubernetes API server: %w", err)
	}
	authn, err := authentication.NewForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("cannot reach a Kubernetes API server: %w", err)
	}
	authz, err := authorization.NewForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("cannot reach a Kubernetes API server: %w", err)
	}
	if o.now == nil {
		o.now = time.Now
	}
	return &Reviewer{
		client: client, tokens: authn.TokenReviews(), access: authz.SubjectAccessReviews(),
		whose: newAnswers[listen.Identity](o.now), may: newAnswers[struct{}](o.now),
		metrics: newMetrics(o.Registerer), away: o.Away,
	}, nil
}

// Close closes the connections that are idle.
func (r *Reviewer) Close() { utilnet.CloseIdleConnectionsFor(r.client.Transport) }

// Token is a [listen.ReviewToken].
func (r *Reviewer) Token(ctx context.Context, token string, audiences []string) (listen.Identity, error) {
	var q question
	q.add("token", token)
	q.add(audiences...)
	var reason string
	who, yes, err := r.whose.get(ctx, q.key(), func(ctx context.Context) (who listen.Identity, yes bool, err error) {
		review, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
		}, metav1.CreateOptions{})
		if err != nil {
			return who, false, r.asked("token", false, err)
		}
		s := &review.Status
		reason = s.Error
		// An API server that knows no audiences says none; its yes is for itself alone.
		meant := len(audiences) == 0 || slices.ContainsFunc(s.Audiences, func(a string) bool { return slices.Contains(audiences, a) })
		yes = s.Authenticated && meant && s.User.Username != ""
		return identity(&s.User), yes, r.asked("token", yes, nil)
	})
	switch {
	case err != nil:
		return listen.Identity{}, fmt.Errorf("cannot review a token: %w", err)
	case !yes:
		return listen.Identity{}, fmt.Errorf("%w: %s", listen.ErrToken, reason)
	}
	return who, nil
}

func identity(u *authenticationv1.UserInfo) listen.Identity {
	who := listen.Identity{Name: u.Username, UID: u.UID, Groups: u.Groups}
	if len(u.Extra) > 0 {
		who.Extra = make(map[string][]string, len(u.Extra))
		for key, values := range u.Extra {
			who.Extra[key] = values
		}
	}
	return who
}

// Logs reports whether who may read the logs of a namespace's pods: get the resource pods/log. "" is all namespaces.
func (r *Reviewer) Logs(ctx context.Context, who listen.Identity, namespace string) (bool, error) {
	return r.review(ctx, who, "logs", namespace, authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: "get", Version: "v1", Resource: "pods", Subresource: "log",
		},
	})
}

// Path reports whether who may do verb to a path that is no resource, such as /metrics.
func (r *Reviewer) Path(ctx context.Context, who listen.Identity, verb, path string) (bool, error) {
	return r.review(ctx, who, "path "+verb, path, authorizationv1.SubjectAccessReviewSpec{
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	})
}

func (r *Reviewer) review(ctx context.Context, who listen.Identity, what, of string, spec authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	var q question
	q.add(what, of)
	q.identity(&who)
	_, yes, err := r.may.get(ctx, q.key(), func(ctx context.Context) (none struct{}, yes bool, err error) {
		spec.User, spec.UID, spec.Groups = who.Name, who.UID, who.Groups
		if len(who.Extra) > 0 {
			spec.Extra = make(map[string]authorizationv1.ExtraValue, len(who.Extra))
			for key, values := range who.Extra {
				spec.Extra[key] = values
			}
		}
		answer, err := r.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
		if err != nil {
			return none, false, r.asked("access", false, err)
		}
		yes = answer.Status.Allowed && !answer.Status.Denied
		return none, yes, r.asked("access", yes, nil)
	})
	if err != nil {
		return false, fmt.Errorf("cannot review access: %w", err)
	}
	return yes, nil
}

// asked counts a question's answer, tells when the API server goes away and comes back, and returns err.
func (r *Reviewer) asked(kind string, yes bool, err error) error {
	result := "no"
	switch {
	case err != nil:
		result = "error"
	case yes:
		result = "yes"
	}
	r.metrics.reviews.WithLabelValues(kind, result).Inc()
	r.mu.Lock()
	changed := r.isAway != (err != nil)
	r.isAway = err != nil
	r.mu.Unlock()
	if changed && r.away != nil {
		r.away(err)
	}
	return err
}
