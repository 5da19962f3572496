package run

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/listen"
	"github.com/braidhq/braid/listen/listentest"
	"github.com/braidhq/braid/telemetry"
)

// A counter takes frames and counts them.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Append(_ context.Context, frames []telemetry.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(frames)
	return nil
}

func (c *counter) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n = 0
	return n
}

// receivers serves both receivers by one configuration until the test ends.
func receivers(t *testing.T, c listen.Config, review listen.ReviewToken) (*counter, *Listeners) {
	t.Helper()
	c.Address = "127.0.0.1:0"
	second, taken := c, &counter{}
	l, err := OpenListeners(config.Receivers{HTTP: &c, GRPC: &second}, config.Web{}, ListenOptions{
		Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), Review: review,
	})
	if err != nil {
		t.Fatal(err)
	}
	group := NewGroup()
	l.ServeReceivers(group.Stage(), taken, config.Limits{MaxBodyBytes: 64 << 20}, nil, nil)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- group.Wait(ctx, time.Minute) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return taken, l
}

func request(n int) plogotlp.ExportRequest {
	logs := plog.NewLogs()
	records := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for range n {
		records.AppendEmpty().Body().SetStr("a line of some length, so that many of them are much")
	}
	return plogotlp.NewExportRequestFromLogs(logs)
}

// send sends one request over gRPC and one over HTTP and returns what each said.
func send(t *testing.T, l *Listeners, config *tls.Config, token string) (code codes.Code, httpStatus int) {
	t.Helper()
	creds, scheme := insecure.NewCredentials(), "http"
	if config != nil {
		creds, scheme = credentials.NewTLS(config), "https"
	}
	conn, err := grpc.NewClient(l.GRPCAddr(), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	_, err = plogotlp.NewGRPCClient(conn).Export(ctx, request(1))
	code = status.Code(err)

	body, err := request(1).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+l.HTTPAddr()+"/v1/logs", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return code, 0
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return code, resp.StatusCode
}

func TestReceiversAskWhoSends(t *testing.T) {
	dir := t.TempDir()
	taken, l := receivers(t, listen.Config{Auth: &listen.Auth{BearerTokenFile: listentest.Write(t, dir, "agents", []byte("good"))}}, nil)
	for token, want := range map[string]struct {
		code   codes.Code
		status int
		frames int
	}{"": {codes.Unauthenticated, 401, 0}, "bad": {codes.Unauthenticated, 401, 0}, "good": {codes.OK, 200, 2}} {
		if code, status := send(t, l, nil, token); code != want.code || status != want.status {
			t.Errorf("%q: %v and %d", token, code, status)
		}
		if n := taken.take(); n != want.frames {
			t.Errorf("%q: %d frames were taken", token, n)
		}
	}
}

func TestReceiversAskKubernetes(t *testing.T) {
	taken, l := receivers(t, listen.Config{Auth: &listen.Auth{Kubernetes: &listen.KubernetesAuth{Audiences: []string{"braid"}}, Users: []string{"agent"}}},
		func(_ context.Context, token string, _ []string) (listen.Identity, error) {
			switch token {
			case "away":
				return listen.Identity{}, errors.New("nobody answers")
			case "bad":
				return listen.Identity{}, listen.ErrToken
			}
			return listen.Identity{Name: token}, nil
		})
	for token, want := range map[string]struct {
		code   codes.Code
		status int
	}{"agent": {codes.OK, 200}, "somebody": {codes.PermissionDenied, 403}, "bad": {codes.Unauthenticated, 401}, "away": {codes.Unavailable, 503}} {
		if code, status := send(t, l, nil, token); code != want.code || status != want.status {
			t.Errorf("%s: %v and %d", token, code, status)
		}
		if n := taken.take(); (n == 2) != (token == "agent") || n == 1 {
			t.Errorf("%s: %d frames were taken", token, n)
		}
	}
}

func TestReceiversAskForACertificate(t *testing.T) {
	ca, clients, dir := listentest.NewCA(t), listentest.NewCA(t), t.TempDir()
	cert, key := ca.WriteServer(dir)
	taken, l := receivers(t, listen.Config{TLS: &listen.TLS{CertFile: cert, KeyFile: key, ClientCAFile: listentest.Write(t, dir, "ca.crt", clients.PEM)}}, nil)
	c, k := clients.Client("agent-1", "agents")
	good := &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{listentest.Pair(t, c, k)}}
	if code, status := send(t, l, good, ""); code != codes.OK || status != 200 || taken.take() != 2 {
		t.Errorf("a good certificate: %v and %d", code, status)
	}
	if code, status := send(t, l, &tls.Config{RootCAs: ca.Pool()}, ""); code != codes.Unauthenticated || status != 401 {
		t.Errorf("none: %v and %d", code, status)
	}
	wrongC, wrongK := listentest.NewCA(t).Client("agent-1", "agents")
	wrong := listentest.Pair(t, wrongC, wrongK)
	forced := &tls.Config{RootCAs: ca.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &wrong, nil }}
	if code, status := send(t, l, forced, ""); code == codes.OK || status != 0 {
		t.Errorf("of another authority: %v and %d", code, status)
	}
	if code, status := send(t, l, &tls.Config{RootCAs: listentest.NewCA(t).Pool()}, ""); code == codes.OK || status != 0 {
		t.Errorf("a server that is not known: %v and %d", code, status)
	}
	if n := taken.take(); n != 0 {
		t.Errorf("%d frames were taken", n)
	}
}

// TestNothingOfAMessageIsReadFromWhoIsNotLetIn: a message that is larger than a connection's window is refused at once.
func TestNothingOfAMessageIsReadFromWhoIsNotLetIn(t *testing.T) {
	dir := t.TempDir()
	taken, l := receivers(t, listen.Config{Auth: &listen.Auth{BearerTokenFile: listentest.Write(t, dir, "agents", []byte("good"))}}, nil)
	conn, err := grpc.NewClient(l.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// A stream of which the message never comes: an interceptor would wait for it.
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/opentelemetry.proto.collector.logs.v1.LogsService/Export")
	if err != nil {
		t.Fatal(err)
	}
	var nothing plogotlp.ExportResponse
	if err := stream.RecvMsg(&nothing); status.Code(err) != codes.Unauthenticated {
		t.Errorf("refused with %v", err)
	}
	// Nor of a body over HTTP, of which only the header comes.
	read, write := io.Pipe()
	defer write.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.HTTPAddr()+"/v1/logs", read)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if n := taken.take(); n != 0 {
		t.Errorf("%d frames were taken", n)
	}
}

func TestEveryPathGoesThroughTheGuard(t *testing.T) {
	mux := NewMux(prometheus.NewRegistry(), &State{})
	mux.HandleFunc("GET /new", func(http.ResponseWriter, *http.Request) { t.Error("the guard was passed by") })
	mux.Guard = func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	}
	for _, pattern := range mux.Patterns() {
		path := pattern[strings.Index(pattern, "/"):]
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if open := path == HealthyPath || path == ReadyPath; open == (w.Code == http.StatusForbidden) {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
