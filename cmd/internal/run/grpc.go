package run

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/braidhq/braid/listen"
)

const (
	grpcStop      = 10 * time.Second // for calls in progress when the server is told to end
	grpcHandshake = 10 * time.Second
)

// grpcCodes are what OTLP clients understand of a refusal's status.
var grpcCodes = map[int]codes.Code{
	http.StatusUnauthorized: codes.Unauthenticated, http.StatusForbidden: codes.PermissionDenied, http.StatusServiceUnavailable: codes.Unavailable,
}

// secureGRPC returns what a gRPC server serves ln with. Who sends is asked when the headers are there: an interceptor was
// rejected, since gRPC has read and unpacked a whole message before it calls one. The question holds up its own connection
// only.
func secureGRPC(l *listen.Listener) (net.Listener, []grpc.ServerOption) {
	ln, config := l.Plain()
	options := []grpc.ServerOption{grpc.ConnectionTimeout(grpcHandshake)}
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	return ln, append(options, grpc.InTapHandle(func(ctx context.Context, call *tap.Info) (context.Context, error) {
		var state *tls.ConnectionState
		if p, ok := peer.FromContext(ctx); ok {
			if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
				state = &info.State
			}
		}
		who, err := l.Authenticate(ctx, call.Header.Get("authorization"), state)
		var refusal *listen.Refusal
		if errors.As(err, &refusal) {
			return ctx, status.Error(grpcCodes[refusal.Status], refusal.Error())
		}
		return listen.WithIdentity(ctx, who), err
	}))
}

func serveGRPC(ctx context.Context, server *grpc.Server, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		hard := time.AfterFunc(grpcStop, server.Stop) // one call that hangs must not hold up the rest
		defer hard.Stop()
		server.GracefulStop()
	})
	defer stop()
	if err := server.Serve(ln); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}
