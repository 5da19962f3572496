package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	"github.com/braidhq/braid/wire/otlp"
)

// spelled is a sink that spells out spans.
type spelled []string

func (s *spelled) Write(_ context.Context, batches []*telemetry.Batch) error {
	for _, b := range batches {
		for i := range b.Spans {
			*s = append(*s, fmt.Sprint(b.Spans[i].Name, b.Spans[i].Attrs, b.Tenant, b.ReceivedUnixNano, b.FramePosition))
		}
	}
	return nil
}

// spanBody is a span with the attributes a and b.
func spanBody(name string) []byte {
	s := telemetry.Span{Name: name, TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{2}, Attrs: []telemetry.Attr{
		{Key: "a", Value: telemetry.String("of " + name)}, {Key: "b", Value: telemetry.String("of " + name)},
	}}
	return otlp.AppendSpans(nil, []*telemetry.Batch{{Resource: &telemetry.Resource{}, Spans: []telemetry.Span{s}}})
}

// Who asks for the attributes that were decoded takes over the batches; anybody else decodes the body that comes with them.
func TestADecodedFrameServesWhoAsksForWhatItHas(t *testing.T) {
	a, b := telemetry.NewAttributes("a"), telemetry.NewAttributes("b")
	for name, test := range map[string]struct {
		has, asked *telemetry.Attributes
		takenOver  bool
	}{
		"the same": {has: a, asked: a, takenOver: true}, "all of both": {takenOver: true},
		"another": {has: a, asked: b}, "all": {has: a}, "fewer": {asked: b},
	} {
		t.Run(name, func(t *testing.T) {
			fsys, l := disk.NewMem(), &loans{}
			q := open(t, fsys)
			c, err := q.Cursor(telemetry.Spans, "c", CursorOptions{Decoded: true})
			if err != nil {
				t.Fatal(err)
			}
			body := spanBody("span")
			f := telemetry.Frame{
				Signal: telemetry.Spans, Encoding: telemetry.OTLP, Compression: telemetry.Gzip, Tenant: "t",
				Body: compression.Compress(nil, body, telemetry.Gzip),
			}
			l.lend(&f, body, &telemetry.Batch{Resource: &telemetry.Resource{}, Spans: []telemetry.Span{{Name: "taken over"}}})
			f.Decoded.Only = test.has
			if err := l.append(t, q, f); err != nil {
				t.Fatal(err)
			}
			other, err := q.Cursor(telemetry.Spans, "other", CursorOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got, want spelled
			deliver(t, &Delivery{Cursor: other, Sink: &want, Only: test.asked})
			fsys.FailOn(unreadable)
			deliver(t, &Delivery{Cursor: c, Sink: &got, Only: test.asked})
			if test.takenOver {
				want = spelled{strings.Replace(want[0], want[0][:strings.Index(want[0], "]")], "taken over[", 1)}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %q, not %q", got, want)
			}
			l.wantBack(t, 1) // with the end of Run
		})
	}
}

// A frame that an observer panics on lies in the quarantine as it came decoded: whole, to be decoded again.
func TestADecodedFrameIsQuarantinedWhole(t *testing.T) {
	fsys, l := disk.NewMem(), &loans{}
	q := open(t, fsys)
	c := cursor(t, q, "c", CursorOptions{Decoded: true})
	sink, count := &storing{}, &counter{panicOn: "bad"}
	for _, batch := range []*telemetry.Batch{plainLines("a"), plainLines("good", "bad"), plainLines("b")} {
		f := logFrame(batch)
		f.Tenant, f.Key = "acme", 7
		l.lend(&f, otlp.AppendLogs(nil, []*telemetry.Batch{batch}), batch)
		if err := l.append(t, q, f); err != nil {
			t.Fatal(err)
		}
	}
	deliver(t, &Delivery{Cursor: c, Sink: sink, Observers: []Observer{count}})
	if sink.got() != "a b" {
		t.Errorf("stored %q", sink.got())
	}
	stored := drain(t, cursor(t, q, "other", CursorOptions{}))[1]
	f, reason := inQuarantine(t, fsys)
	if !same(f, stored) || !strings.Contains(reason, "no bad") {
		t.Errorf("the quarantine has %+v because of %q, not %+v", f, reason, stored)
	}
	var d decoder
	batches, _, err := d.decode(&f, q.ID(), defaultBody)
	if err != nil || len(batches) != 1 || len(batches[0].Logs) != 2 || string(batches[0].Logs[1].Body) != "bad" {
		t.Errorf("it is decoded as %v, %v", batches, err)
	}
	l.wantBack(t, 3)
}

// inQuarantine returns the one frame that is in the quarantine.
func inQuarantine(t *testing.T, fsys disk.FS) (f telemetry.Frame, reason string) {
	t.Helper()
	names := files(t, fsys, "q/quarantine", quarantineSuffix)
	if len(names) != 1 {
		t.Fatalf("the quarantine has %q", names)
	}
	_, payload, err := disk.ReadVersioned(fsys, names[0], quarantineKind, quarantineVersion)
	if err == nil {
		f, reason, err = parseQuarantined(payload)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f, reason
}

// What is lent is given back when Run ends, what waits when the cursor is closed.
func TestADeliveryHoldsNothingOnceItHasEnded(t *testing.T) {
	for name, end := range map[string]func(*Queue, context.CancelFunc) error{
		"stop":    func(_ *Queue, stop context.CancelFunc) error { stop(); return nil },
		"suspend": func(q *Queue, _ context.CancelFunc) error { return q.Suspend() },
		"close":   func(q *Queue, _ context.CancelFunc) error { return q.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			q, l := open(t, disk.NewMem()), &loans{}
			c := cursor(t, q, "c", CursorOptions{Decoded: true})
			lines := func(body string) telemetry.Frame {
				f, batch := logFrame(plainLines(body)), plainLines(body)
				l.lend(&f, otlp.AppendLogs(nil, []*telemetry.Batch{batch}), batch)
				return f
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			writing, done := make(chan struct{}), make(chan error)
			sink := sinkFunc(func([]*telemetry.Batch) error {
				close(writing)
				<-ctx.Done()
				return ctx.Err()
			})
			go func() { done <- (&Delivery{Cursor: c, Sink: sink}).Run(ctx) }()
			for i := range 3 {
				if err := l.append(t, q, lines(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					<-writing
				}
			}
			l.wantBack(t, 0)
			if err := end(q, stop); err != nil {
				t.Fatal(err)
			}
			stop()
			_ = <-done // nil or ErrClosed, as what ended it
			c.Close()
			l.wantBack(t, 3)
		})
	}
}
