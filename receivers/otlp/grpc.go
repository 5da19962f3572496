package otlp

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what OTLP clients compress with; gRPC knows compressors by import only
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/braidhq/braid/receivers/intake"
	"github.com/braidhq/braid/telemetry"
)

const (
	logsService   = "opentelemetry.proto.collector.logs.v1.LogsService"
	tracesService = "opentelemetry.proto.collector.trace.v1.TraceService"
)

// maxStreams bounds the requests that one connection may have open; each may hold a message of MaxBodyBytes before
// the receiver sees it.
const maxStreams = 100

// ServerOptions returns what a gRPC server needs for [Receiver.Register]: a codec that hands messages over as bytes,
// and the bound of one message. No other service can be registered on that server.
func (r *Receiver) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(int(r.gate.MaxBodyBytes())),
		grpc.MaxConcurrentStreams(maxStreams),
	}
}

// Register adds LogsService and TraceService to s, which must have been made with [Receiver.ServerOptions].
func (r *Receiver) Register(s *grpc.Server) {
	s.RegisterService(r.service(logsService, telemetry.Logs), nil)
	s.RegisterService(r.service(tracesService, telemetry.Spans), nil)
}

// service describes a service with the one method Export. Generated descriptions were rejected: they decode every
// message into structs, only to be encoded again for the queue.
func (r *Receiver) service(name string, s telemetry.Signal) *grpc.ServiceDesc {
	export := func(ctx context.Context, req any) (any, error) {
		m := req.(*message)
		if err := r.export(ctx, s, m.buffer); err != nil {
			httpStatus, retry := intake.Answer(err)
			r.metrics.answered(s, "grpc", httpStatus)
			return nil, rpcStatus(httpStatus, retry, err).Err()
		}
		r.metrics.answered(s, "grpc", http.StatusOK)
		return &message{}, nil
	}
	handler := func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		m := new(message)
		if err := decode(m); err != nil {
			return nil, err
		}
		if interceptor == nil {
			return export(ctx, m)
		}
		return interceptor(ctx, m, &grpc.UnaryServerInfo{FullMethod: "/" + name + "/Export"}, export)
	}
	return &grpc.ServiceDesc{
		ServiceName: name,
		Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: handler}},
	}
}

// export takes the request in buffer, which it frees.
func (r *Receiver) export(ctx context.Context, s telemetry.Signal, buffer mem.Buffer) error {
	size := int64(buffer.Len())
	if err := r.gate.Hold(size); err != nil {
		buffer.Free()
		return err
	}
	rd := r.begin(buffer.ReadOnlyData(), func() {
		r.gate.Let(size)
		buffer.Free()
	})
	defer rd.decoded.Release()
	f := telemetry.Frame{Signal: s, Encoding: telemetry.OTLP}
	md, _ := metadata.FromIncomingContext(ctx)
	get := func(header string) string {
		if values := md[strings.ToLower(header)]; len(values) > 0 {
			return values[0]
		}
		return ""
	}
	if err := intake.Mark(&f, get); err != nil {
		return err
	}
	return r.take(ctx, f, rd, false)
}

// A message is a protobuf message as bytes. Without a buffer it is the empty message: an Export*ServiceResponse that
// rejects nothing.
type message struct{ buffer mem.Buffer }

// rawCodec is gRPC's codec "proto" without protobuf: bytes in, bytes out.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("cannot decode %T: this server takes OTLP only", v)
	}
	m.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("cannot encode %T: this server takes OTLP only", v)
	}
	if m.buffer == nil {
		return nil, nil
	}
	return mem.BufferSlice{m.buffer}, nil
}
