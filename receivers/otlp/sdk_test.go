package otlp

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/braidhq/braid/telemetry"
)

// The truth about OTLP/HTTP is OpenTelemetry's own exporter.
func TestOpenTelemetrySDK(t *testing.T) {
	k := &keeper{}
	srv := httptest.NewServer(New(k, Options{}).Handler())
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(srv.URL+"/v1/traces"),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter))
	parent, root := provider.Tracer("test").Start(ctx, "root")
	_, child := provider.Tracer("test").Start(parent, "child")
	child.End()
	root.End()
	if err := provider.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	f := k.one(t)
	got := ptraceotlp.NewExportRequest()
	if err := got.UnmarshalProto(plainBody(t, f)); err != nil || got.Traces().SpanCount() != 2 || f.Compression != telemetry.Gzip {
		t.Fatalf("%d spans in %s, %v", got.Traces().SpanCount(), f.Compression, err)
	}
}
