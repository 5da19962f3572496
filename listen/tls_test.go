package listen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/listen/listentest"
)

// A rig is a listener that answers with who asks, and the clock by which it looks at its files.
type rig struct {
	t        *testing.T
	listener *Listener
	registry *prometheus.Registry
	ahead    atomic.Int64 // of the real clock

	mu      sync.Mutex
	reloads []error
	refused []int
}

// open serves c on a free port until the test ends.
func open(t *testing.T, c Config, o Options) *rig {
	t.Helper()
	r := &rig{t: t, registry: prometheus.NewRegistry()}
	c.Address = "127.0.0.1:0"
	o.Name, o.Registerer = "test", r.registry
	o.now = func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }
	o.Reloaded = func(_ string, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reloads = append(r.reloads, err)
	}
	o.Refused = func(_ *http.Request, refusal *Refusal) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.refused = append(r.refused, refusal.Status)
	}
	o.ErrorLog = log.New(io.Discard, "", 0)
	var err error
	if r.listener, err = Open(c, o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.listener.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, _ := IdentityOf(r.Context())
			fmt.Fprintf(w, "%s %s %v", r.Proto, who.Name, who.Groups)
		}), Timeouts{Shutdown: time.Millisecond})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// later lets the listener look at its files again.
func (r *rig) later(d time.Duration) { r.ahead.Add(int64(d)) }

func (r *rig) told() (reloads []error, refused []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.reloads...), append([]int(nil), r.refused...)
}

// client speaks HTTP/2 or HTTP/1.1 and trusts roots.
func (r *rig) client(roots *x509.CertPool, http1 bool, certs ...tls.Certificate) *http.Client {
	transport := &http.Transport{ForceAttemptHTTP2: !http1, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certs}}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get returns the answer's status and text, and the serial number of the server's certificate.
func (r *rig) get(c *http.Client, token string) (status int, text, serial string, err error) {
	r.t.Helper()
	scheme := "https"
	if r.listener.tls == nil {
		scheme = "http"
	}
	req, err := http.NewRequest(http.MethodGet, scheme+"://"+r.listener.Addr().String()+"/x", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.TLS != nil {
		serial = resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	return resp.StatusCode, string(body), serial, nil
}

func (r *rig) want(c *http.Client, token string, status int, text string) {
	r.t.Helper()
	if got, body, _, err := r.get(c, token); err != nil || got != status || !strings.Contains(body, text) {
		r.t.Errorf("got %d %q %v, want %d %q", got, body, err, status, text)
	}
}

func TestBothVersionsOfHTTP(t *testing.T) {
	ca, dir := listentest.NewCA(t), t.TempDir()
	cert, key := ca.WriteServer(dir)
	r := open(t, Config{TLS: &TLS{CertFile: cert, KeyFile: key, MinVersion: tls.VersionTLS13}}, Options{})
	r.want(r.client(ca.Pool(), false), "", 200, "HTTP/2.0")
	r.want(r.client(ca.Pool(), true), "", 200, "HTTP/1.1")
	if _, _, _, err := r.get(r.client(listentest.NewCA(t).Pool(), false), ""); err == nil {
		t.Error("a client that trusts another authority is content")
	}
	old := r.client(ca.Pool(), false)
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	if _, _, _, err := r.get(old, ""); err == nil {
		t.Error("TLS 1.2 was taken")
	}
	if resp, err := http.Get("http://" + r.listener.Addr().String() + "/x"); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("in the clear: %s", resp.Status)
		}
	}
}

func TestANewCertificateIsTakenWhileConnectionsLive(t *testing.T) {
	ca, dir := listentest.NewCA(t), t.TempDir()
	cert, key := ca.WriteServer(dir)
	r := open(t, Config{TLS: &TLS{CertFile: cert, KeyFile: key}}, Options{})
	living := r.client(ca.Pool(), false)
	_, _, first, err := r.get(living, "")
	if err != nil {
		t.Fatal(err)
	}
	ca.WriteServer(dir)
	r.later(lookEvery)
	_, _, second, err := r.get(r.client(ca.Pool(), false), "")
	if err != nil || second == first {
		t.Fatalf("a new connection has certificate %s, %v; the old one was %s", second, err, first)
	}
	if _, _, serial, err := r.get(living, ""); err != nil || serial != first {
		t.Errorf("the living connection has %s, %v", serial, err)
	}

	// A certificate without its key, then half a file, then none: the last good one stays, and each is told once.
	other, _ := ca.Server()
	for _, text := range [][]byte{other, other[:100], nil} {
		listentest.Write(t, dir, "tls.crt", text)
		for range 3 {
			r.later(lookEvery)
			if _, _, serial, err := r.get(r.client(ca.Pool(), true), ""); err != nil || serial != second {
				t.Fatalf("with a broken certificate: %s, %v", serial, err)
			}
		}
	}
	reloads, _ := r.told()
	if len(reloads) != 3 || reloads[0] != nil || reloads[1] == nil || reloads[2] == nil { // half a file and none are the same fault
		t.Errorf("told of %v", reloads)
	}
	if n := testutil.ToFloat64(r.listener.metrics.reloads.WithLabelValues("error")); n != float64(len(reloads)-1) {
		t.Errorf("%v errors are counted of %v", n, reloads)
	}
	ca.WriteServer(dir)
	r.later(lookEvery)
	if _, _, serial, err := r.get(r.client(ca.Pool(), true), ""); err != nil || serial == second {
		t.Errorf("after the broken one: %s, %v", serial, err)
	}
	if n := testutil.ToFloat64(r.listener.metrics.expiry); n < float64(time.Now().Unix()) {
		t.Errorf("expiry is %v", n)
	}
}

func TestFilesAreReadOnceASecondAtMost(t *testing.T) {
	reads, now := 0, time.Now()
	w := watched[string]{
		read:   func() ([][]byte, error) { reads++; return [][]byte{[]byte("x")}, nil },
		parse:  func(texts [][]byte) (string, error) { return string(texts[0]), nil },
		report: func(string, error) { t.Error("nothing is new") },
		now:    func() time.Time { return now },
	}
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		now = now.Add(lookEvery / 10)
		if w.get() != "x" {
			t.Fatal("lost")
		}
	}
	if reads != 11 {
		t.Errorf("%d reads in 10 s", reads)
	}
}

func TestClientCertificates(t *testing.T) {
	ca, clients, dir := listentest.NewCA(t), listentest.NewCA(t), t.TempDir()
	cert, key := ca.WriteServer(dir)
	r := open(t, Config{TLS: &TLS{CertFile: cert, KeyFile: key, ClientCAFile: listentest.Write(t, dir, "ca.crt", clients.PEM)}}, Options{Open: []string{"/-/healthy"}})
	pair := func(from *listentest.CA, change func(*x509.Certificate)) tls.Certificate {
		template := listentest.ClientTemplate("jane", "dev", "ops")
		if change != nil {
			change(template)
		}
		c, k := from.Issue(template)
		return listentest.Pair(t, c, k)
	}
	for _, http1 := range []bool{false, true} {
		r.want(r.client(ca.Pool(), http1, pair(clients, nil)), "", 200, "jane [dev ops]")
		r.want(r.client(ca.Pool(), http1), "", 401, "a client certificate is needed")
	}
	r.want(r.client(ca.Pool(), true, pair(clients, func(c *x509.Certificate) { c.Subject.CommonName = "" })), "", 401, "names nobody")
	r.want(r.client(ca.Pool(), true, pair(clients, func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames = "", []string{"agent.braid"}
	})), "", 200, "agent.braid")
	for name, bad := range map[string]tls.Certificate{
		"of another authority": pair(listentest.NewCA(t), nil),
		"expired":              pair(clients, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not yet valid":        pair(clients, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }),
		"for servers":          pair(clients, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
	} {
		// A client leaves one out that cannot be meant, so it is forced on the server.
		client := r.client(ca.Pool(), true)
		client.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &bad, nil }
		if status, body, _, err := r.get(client, ""); err == nil {
			t.Errorf("a certificate %s: %d %s", name, status, body)
		}
	}
	resp, err := r.client(ca.Pool(), true).Get("https://" + r.listener.Addr().String() + "/-/healthy")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("a probe: %v %v", resp, err)
	}
	resp.Body.Close()
	if _, refused := r.told(); len(refused) != 3 {
		t.Errorf("told of %v", refused)
	}
}

// TestALivingConnectionIsNoSaferThanItsCertificate: when the authority goes, or the certificate expires, the next request
// of a connection that was good is refused.
func TestALivingConnectionIsNoSaferThanItsCertificate(t *testing.T) {
	ca, clients, dir := listentest.NewCA(t), listentest.NewCA(t), t.TempDir()
	cert, key := ca.WriteServer(dir)
	bundle := listentest.Write(t, dir, "ca.crt", clients.PEM)
	r := open(t, Config{TLS: &TLS{CertFile: cert, KeyFile: key, ClientCAFile: bundle}}, Options{})
	c, k := clients.Client("jane")
	client := r.client(ca.Pool(), false, listentest.Pair(t, c, k))
	for range 3 {
		r.want(client, "", 200, "jane")
	}
	next := listentest.NewCA(t)
	listentest.Write(t, dir, "ca.crt", next.PEM)
	r.later(lookEvery)
	r.want(client, "", 401, "unknown authority")
	nextC, nextK := next.Client("john")
	r.want(r.client(ca.Pool(), false, listentest.Pair(t, nextC, nextK)), "", 200, "john")
	listentest.Write(t, dir, "ca.crt", append(append([]byte(nil), next.PEM...), clients.PEM...))
	r.later(lookEvery)
	client = r.client(ca.Pool(), false, listentest.Pair(t, c, k))
	r.want(client, "", 200, "jane")
	r.later(2 * time.Hour)
	r.want(client, "", 401, "expired")
}

func TestCertificatesThatAreRememberedAreBounded(t *testing.T) {
	var v verified
	pool, end := x509.NewCertPool(), time.Now()
	for range 3 * maxVerified {
		leaf := new(x509.Certificate)
		v.look(pool, leaf)
		v.keep(pool, leaf, end)
		if !v.look(pool, leaf).Equal(end) && len(v.until) > 0 {
			t.Fatal("forgotten at once")
		}
	}
	if len(v.until) > maxVerified {
		t.Errorf("%d are remembered", len(v.until))
	}
}

func TestOpenNeedsItsFiles(t *testing.T) {
	ca, dir := listentest.NewCA(t), t.TempDir()
	cert, key := ca.WriteServer(dir)
	_, otherKey := ca.Server()
	wrong := listentest.Write(t, dir, "other.key", otherKey)
	empty := listentest.Write(t, dir, "empty", nil)
	for name, c := range map[string]Config{
		"no certificate": {TLS: &TLS{CertFile: dir + "/none", KeyFile: key}},
		"another key":    {TLS: &TLS{CertFile: cert, KeyFile: wrong}},
		"no authority":   {TLS: &TLS{CertFile: cert, KeyFile: key, ClientCAFile: empty}},
		"no token":       {Auth: &Auth{BearerTokenFile: empty}},
		"no token file":  {Auth: &Auth{BearerTokenFile: dir + "/none"}},
		"no directory":   {Auth: &Auth{BearerTokenFile: t.TempDir()}},
		"no reviewer":    {Auth: &Auth{Kubernetes: &KubernetesAuth{}}},
		"no method":      {Auth: &Auth{Users: []string{"x"}}},
	} {
		c.Address = "127.0.0.1:0"
		if l, err := Open(c, Options{}); err == nil {
			l.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), "cannot listen on") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBothACertificateAndATokenAreNeededWhereBothAreSaid(t *testing.T) {
	ca, clients, dir := listentest.NewCA(t), listentest.NewCA(t), t.TempDir()
	cert, key := ca.WriteServer(dir)
	r := open(t, Config{
		TLS:  &TLS{CertFile: cert, KeyFile: key, ClientCAFile: listentest.Write(t, dir, "ca.crt", clients.PEM)},
		Auth: &Auth{BearerTokenFile: listentest.Write(t, dir, "agents", []byte("s3cret\n"))},
	}, Options{})
	c, k := clients.Client("jane")
	r.want(r.client(ca.Pool(), false, listentest.Pair(t, c, k)), "s3cret", 200, "agents []")
	r.want(r.client(ca.Pool(), false, listentest.Pair(t, c, k)), "", 401, "token is needed")
	r.want(r.client(ca.Pool(), false), "s3cret", 401, "certificate is needed")
}

func TestReviewedTokens(t *testing.T) {
	var asked []string
	r := open(t, Config{Auth: &Auth{Kubernetes: &KubernetesAuth{Audiences: []string{"braid"}}, Users: []string{"jane"}}}, Options{
		Review: func(_ context.Context, token string, audiences []string) (Identity, error) {
			asked = append(asked, token+fmt.Sprint(audiences))
			switch token {
			case "bad":
				return Identity{}, fmt.Errorf("%w: it has expired", ErrToken)
			case "unknown":
				return Identity{}, errors.New("10.0.0.1 does not answer")
			}
			return Identity{Name: token, Groups: []string{"g"}}, nil
		},
	})
	c := r.client(nil, true)
	r.want(c, "jane", 200, "jane [g]")
	r.want(c, "john", 403, `user "john"`)
	r.want(c, "bad", 401, "not valid")
	r.want(c, "unknown", 503, "try again")
	if _, body, _, _ := r.get(c, "unknown"); strings.Contains(body, "10.0.0.1") {
		t.Errorf("the answer tells of our network: %s", body)
	}
	if fmt.Sprint(asked) != "[jane[braid] john[braid] bad[braid] unknown[braid] unknown[braid]]" {
		t.Errorf("asked %v", asked)
	}
	for reason, want := range map[string]float64{"unauthenticated": 1, "user": 1, "unavailable": 2} {
		if n := testutil.ToFloat64(r.listener.metrics.refused.WithLabelValues(reason)); n != want {
			t.Errorf("%s: %v", reason, n)
		}
	}
}
