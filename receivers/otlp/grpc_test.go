package otlp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/braidhq/braid/telemetry"
)

func dial(t *testing.T, r *Receiver) *grpc.ClientConn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(r.ServerOptions()...)
	r.Register(srv)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		srv.Stop()
		_ = <-done
	})
	return conn
}

func TestGRPC(t *testing.T) {
	k := &keeper{}
	conn := dial(t, New(k, Options{}))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	marked := metadata.AppendToOutgoingContext(ctx, "x-scope-orgid", "team-a", "x-braid-queue-id", "00000000000000ff", "x-braid-sequence", "77")
	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
		if _, err := plogotlp.NewGRPCClient(conn).Export(marked, someLogs(), options...); err != nil {
			t.Fatal(err)
		}
		f := k.one(t)
		if f.Signal != telemetry.Logs || f.Encoding != telemetry.OTLP || !bytes.Equal(plainBody(t, f), marshal(t, someLogs())) {
			t.Fatalf("%+v", f)
		}
		if f.Tenant != "team-a" || f.Origin != (telemetry.QueueID{7: 0xff}) || f.Sequence != 77 {
			t.Fatalf("%+v", f)
		}
		if _, err := ptraceotlp.NewGRPCClient(conn).Export(ctx, someSpans(), options...); err != nil {
			t.Fatal(err)
		}
		if f := k.one(t); f.Signal != telemetry.Spans || !bytes.Equal(plainBody(t, f), marshal(t, someSpans())) {
			t.Fatalf("%+v", f)
		}
	}
	if _, err := plogotlp.NewGRPCClient(conn).Export(ctx, plogotlp.NewExportRequest()); err != nil {
		t.Fatal(err)
	}
	k.none(t)
}

func TestGRPCErrors(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	export := func(k *keeper, o Options) *status.Status {
		_, err := plogotlp.NewGRPCClient(dial(t, New(k, o))).Export(ctx, someLogs())
		return status.Convert(err)
	}
	full := telemetry.Throttled(errors.New("the lane is full"), 1500*time.Millisecond)
	for name, s := range map[string]*status.Status{
		"full":      export(&keeper{err: full}, Options{}),
		"in flight": export(&keeper{}, Options{MaxInFlightBytes: 1}),
	} {
		if s.Code() != codes.ResourceExhausted || len(s.Details()) != 1 {
			t.Fatalf("%s: %v", name, s)
		}
		if info, ok := s.Details()[0].(*errdetails.RetryInfo); !ok || info.RetryDelay.AsDuration() < time.Second {
			t.Fatalf("%s: %v", name, s.Details())
		}
	}
	if s := export(&keeper{err: errors.New("disk")}, Options{}); s.Code() != codes.Unavailable {
		t.Fatal(s)
	}
	// Without RetryInfo clients do not send it again.
	if s := export(&keeper{}, Options{MaxBodyBytes: 10}); s.Code() != codes.ResourceExhausted || len(s.Details()) != 0 {
		t.Fatal(s)
	}
}

func TestGRPCGarbage(t *testing.T) {
	k := &keeper{}
	conn := dial(t, New(k, Options{}))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bad := &message{buffer: mem.SliceBuffer("\xff\xff not protobuf")}
	err := conn.Invoke(ctx, "/"+logsService+"/Export", bad, &message{}, grpc.ForceCodecV2(rawCodec{}))
	if status.Code(err) != codes.InvalidArgument {
		t.Fatal(err)
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "x-braid-queue-id", "zz")
	if _, err := plogotlp.NewGRPCClient(conn).Export(ctx, someLogs()); status.Code(err) != codes.InvalidArgument {
		t.Fatal(err)
	}
	err = conn.Invoke(ctx, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", bad, &message{}, grpc.ForceCodecV2(rawCodec{}))
	if status.Code(err) != codes.Unimplemented {
		t.Fatal(err)
	}
	k.none(t)
}
