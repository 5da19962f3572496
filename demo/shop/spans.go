package shop

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/braidhq/braid/demo/ledger"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// newTracing makes a provider that enters every ended span in the ledger and exports it to the agent, however long the
// agent is away. Shutdown exports the rest.
func newTracing(ctx context.Context, t *Topology, s Service, book *ledger.Writer, log *slog.Logger) (*sdktrace.TracerProvider, error) {
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(t.OTLP+"/v1/traces"),
		otlptracehttp.WithTimeout(10*time.Second),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false})) // patient does it, over refused connections too
	if err != nil {
		return nil, fmt.Errorf("cannot make the OTLP exporter: %w", err)
	}
	identity := resource.NewSchemaless(
		attribute.String("service.name", s.Name),
		attribute.String("service.namespace", t.Namespace),
		attribute.String("service.instance.id", s.PodUID),
		attribute.String("k8s.cluster.name", t.Cluster),
		attribute.String("k8s.node.name", t.Node),
		attribute.String("k8s.namespace.name", t.Namespace),
		attribute.String("k8s.pod.name", s.Pod),
		attribute.String("k8s.pod.uid", s.PodUID),
		attribute.String("k8s.container.name", s.Name),
	)
	return sdktrace.NewTracerProvider(
		sdktrace.WithResource(identity),
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithSpanProcessor(bookkeeper{book}),
		sdktrace.WithBatcher(&patient{next: exporter, book: book, log: log, wait: 100 * time.Millisecond},
			sdktrace.WithBatchTimeout(500*time.Millisecond),
			sdktrace.WithMaxQueueSize(1<<16),
			sdktrace.WithBlocking(), // a full queue makes requests wait; it never drops
			sdktrace.WithExportTimeout(time.Hour)),
	), nil
}

// A bookkeeper enters ended spans in the ledger.
type bookkeeper struct{ book *ledger.Writer }

func (b bookkeeper) OnEnd(s sdktrace.ReadOnlySpan) {
	c := s.SpanContext()
	b.book.Span(ledger.EndedSpan{
		TraceID: c.TraceID().String(), SpanID: c.SpanID().String(), Name: s.Name(),
		Start: s.StartTime(), End: s.EndTime(), Error: s.Status().Code == codes.Error,
	})
}

func (bookkeeper) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (bookkeeper) Shutdown(context.Context) error                  { return nil }
func (bookkeeper) ForceFlush(context.Context) error                { return nil }

// patient tries an export until it is acknowledged or its context ends, and says "away" and "back" once each. The
// exporter's own retry gives up on refused connections, which is what an agent that restarts looks like. A repeat has
// the same bytes, so a receiver that knows what it has acknowledged knows it. What was acknowledged is entered in the
// ledger.
type patient struct {
	next sdktrace.SpanExporter
	book *ledger.Writer
	log  *slog.Logger
	wait time.Duration // before the second try; doubled up to two seconds
}

func (p *patient) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	wait, away := p.wait, false
	for {
		err := p.next.ExportSpans(ctx, spans)
		if err == nil {
			p.sent(spans)
			if away {
				p.log.Info("traces are exported again")
			}
			return nil
		}
		if !away {
			p.log.Warn("cannot export traces, trying until it works", "err", err)
			away = true
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("cannot export %d spans: %w", len(spans), err)
		case <-timer.C:
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (p *patient) sent(spans []sdktrace.ReadOnlySpan) {
	ids := make([]string, len(spans))
	for i, s := range spans {
		ids[i] = s.SpanContext().SpanID().String()
	}
	p.book.Sent(ids)
}

func (p *patient) Shutdown(ctx context.Context) error { return p.next.Shutdown(ctx) }
