package elasticsearch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
)

func equalAttrs(a, b []telemetry.Attr) bool { return slices.Equal(a, b) }

// lines returns the answer to q.
func (c *cluster) lines(q telemetry.LogQuery) []telemetry.LogRecord {
	c.t.Helper()
	var records []telemetry.LogRecord
	err := c.reader().Logs(c.t.Context(), q, func(r *telemetry.LogRecord) error {
		records = append(records, *r)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return records
}

func TestALineComesBackAsItWas(t *testing.T) {
	c := newCluster(t)
	b := logBatch(3, 0, 2, 77)
	b.Tenant = "team-a"
	b.Resource.Attrs = append(b.Resource.Attrs, telemetry.Attr{Key: "x", Value: telemetry.Value{Kind: telemetry.FloatValue, Float: 2}})
	b.Resource.ContainerID, b.Resource.ServiceInstance, b.Resource.ServiceVersion, b.Resource.ServiceNamespace, b.Resource.Restart = "cid", "i-1", "1.2", "sn", 0
	l := &b.Logs[0]
	l.Body = []byte("bytes \xff\xfe \x00 and\ttabs\r \u2028 \"quotes\" \\ <html>")
	l.Flags = telemetry.Truncated | telemetry.Partial
	l.Attrs = []telemetry.Attr{
		attr("s", "v"), {Key: "i", Value: telemetry.Int(-1 << 62)}, {Key: "f", Value: telemetry.Value{Kind: telemetry.FloatValue, Float: 3}},
		{Key: "t", Value: telemetry.Value{Kind: telemetry.BoolValue, Int: 1}}, {Key: "b", Value: telemetry.Value{Kind: telemetry.BytesValue, Str: "\x00\xff"}},
		{Key: "j", Value: telemetry.Value{Kind: telemetry.JSONValue, Str: `[1,{"a":"b"}]`}}, {Key: "e", Value: telemetry.Value{Kind: telemetry.EmptyValue}},
	}
	write(t, c.exporter(), []*telemetry.Batch{b})
	c.refresh(c.o.LogsDataStream)
	got := c.lines(telemetry.LogQuery{Tenant: "team-a"})
	if len(got) != 2 {
		t.Fatalf("%d lines", len(got))
	}
	if g, w := fmt.Sprintf("%+v", got[0].Log), fmt.Sprintf("%+v", *l); g != w {
		t.Errorf("line is\n%s\nnot\n%s", g, w)
	}
	if g, w := fmt.Sprintf("%+v", *got[0].Resource), fmt.Sprintf("%+v", *b.Resource); g != w {
		t.Errorf("resource is\n%s\nnot\n%s", g, w)
	}
	if n := len(c.lines(telemetry.LogQuery{Tenant: "team-b"})); n != 0 {
		t.Errorf("another tenant reads %d lines", n)
	}
}

func TestLogsAnswersWhatIsAsked(t *testing.T) {
	c := newCluster(t)
	if got := c.lines(telemetry.LogQuery{}); got != nil {
		t.Errorf("no data stream, and %d lines", len(got))
	}
	one, two, before := logBatch(1, 0, 1500, 5), logBatch(2, 0, 24, 6), logBatch(2, 0, 5, 6)
	one.Resource.Restart, two.Resource.Restart = -1, 4
	before.FileID = telemetry.FileID{9}
	previous := *two.Resource
	previous.Restart, before.Resource = 2, &previous
	for i := range before.Logs {
		before.Logs[i].UID = telemetry.FileUID(before.FileID, before.Logs[i].Position)
	}
	write(t, c.exporter(), []*telemetry.Batch{two, one, before})
	c.refresh(c.o.LogsDataStream)
	at := func(i int) int64 { return one.Logs[i].UnixNano }
	for _, test := range []struct {
		name string
		q    telemetry.LogQuery
		want int
	}{
		{"everything", telemetry.LogQuery{}, 1529},
		{"pod", telemetry.LogQuery{Namespace: "shop", Pods: []string{"cart-2", "cart-9"}, Container: "app"}, 29},
		{"no such namespace", telemetry.LogQuery{Namespace: "other"}, 0},
		{"severity", telemetry.LogQuery{Pods: []string{"cart-2"}, MinSeverity: telemetry.SeverityError}, 8},
		{"trace", telemetry.LogQuery{TraceID: one.Logs[1000].TraceID}, 1},
		{"text is a part of a word", telemetry.LogQuery{Text: "ne 1499 of \"fi"}, 1},
		{"from is in, to is out", telemetry.LogQuery{Pods: []string{"cart-1"}, FromUnixNano: at(10), ToUnixNano: at(20)}, 10},
		{"limit", telemetry.LogQuery{Limit: 1200}, 1200},
		{"tail of each container", telemetry.LogQuery{Tail: 3}, 6},
		{"tail with text", telemetry.LogQuery{Tail: 3, Text: "line 1"}, 6},
		{"previous", telemetry.LogQuery{Previous: true}, 5},
		{"previous of one that has none", telemetry.LogQuery{Pods: []string{"cart-1"}, Previous: true}, 0},
	} {
		got := c.lines(test.q)
		if len(got) != test.want {
			t.Errorf("%s: %d lines, want %d", test.name, len(got), test.want)
		}
		if !slices.IsSortedFunc(got, func(a, b telemetry.LogRecord) int { return int(a.UnixNano - b.UnixNano) }) {
			t.Errorf("%s: not by time", test.name)
		}
	}
	if got := c.lines(telemetry.LogQuery{Pods: []string{"cart-1"}, Tail: 2}); string(got[0].Body) != string(one.Logs[1498].Body) {
		t.Errorf("the last but one line is %q", got[0].Body)
	}
	stop := errors.New("enough")
	err := c.reader().Logs(t.Context(), telemetry.LogQuery{}, func(*telemetry.LogRecord) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("the callback's error comes back as %v", err)
	}
}

func TestLinesOfOneTimeKeepTheOrderOfTheFile(t *testing.T) {
	c := newCluster(t)
	b := logBatch(1, 0, 300, 5)
	for i := range b.Logs {
		b.Logs[i].UnixNano = b.Logs[0].UnixNano
	}
	slices.Reverse(b.Logs)
	write(t, c.exporter(), []*telemetry.Batch{b})
	c.refresh(c.o.LogsDataStream)
	for _, q := range []telemetry.LogQuery{{}, {Tail: 100}} {
		got := c.lines(q)
		if !slices.IsSortedFunc(got, func(a, b telemetry.LogRecord) int { return int(a.Position - b.Position) }) || got[len(got)-1].Position != 30_000 {
			t.Errorf("tail %d: not in the order of the file", q.Tail)
		}
	}
}

func TestFollowGivesEveryLineOnce(t *testing.T) {
	c := newCluster(t)
	r := c.reader()
	e := c.exporter()
	now := time.Now().UnixNano()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	step := 0
	// Between two looks there is more to see: a late line with an old event time, a rollover, nothing.
	r.pause = func(ctx context.Context, _ time.Duration) error {
		switch step++; step {
		case 1:
			write(t, e, []*telemetry.Batch{logBatch(1, 0, 50, now)})
		case 2:
			write(t, e, []*telemetry.Batch{logBatch(2, 0, 10, now-int64(time.Second)), logBatch(1, 50, 20, now+int64(time.Second))})
		case 3:
			c.rollover(c.o.LogsDataStream)
			write(t, e, []*telemetry.Batch{logBatch(1, 70, 30, now+int64(20*time.Second))})
		case 5:
			cancel()
			return ctx.Err()
		}
		if step < 4 {
			c.refresh(c.o.LogsDataStream)
		}
		return nil
	}
	seen := map[telemetry.UID]int{}
	collect := func(r *telemetry.LogRecord) error { seen[r.UID]++; return nil }
	if err := r.Logs(ctx, telemetry.LogQuery{Follow: true}, collect); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 110 {
		t.Errorf("%d lines followed, 110 stored", len(seen))
	}
	for uid, n := range seen {
		if n != 1 {
			t.Errorf("line %s came %d times", uid, n)
		}
	}
	// With a tail only the last lines and what is new: the looks do not bring back what the tail left out.
	clear(seen)
	r.pause = func(ctx context.Context, _ time.Duration) error {
		write(t, e, []*telemetry.Batch{logBatch(1, 100+step, 1, now+int64(21*time.Second))})
		c.refresh(c.o.LogsDataStream)
		step++
		return nil
	}
	if err := r.Logs(t.Context(), telemetry.LogQuery{Follow: true, Tail: 2, Limit: 7}, collect); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 7 || step != 5+3 {
		t.Errorf("%d lines after %d looks", len(seen), step-5)
	}
}

func TestATraceComesBackWhole(t *testing.T) {
	c := newCluster(t)
	logs, spans := logBatch(1, 0, 30, 1), spanBatch(0, 30, 1)
	for i := range 10 {
		spans.Spans[i].TraceID, logs.Logs[i].TraceID = spans.Spans[7].TraceID, logs.Logs[7].TraceID
	}
	write(t, c.exporter(), []*telemetry.Batch{logs, spans})
	c.refresh(c.o.LogsDataStream)
	c.refresh(c.o.TracesDataStream)
	got, err := c.reader().Trace(t.Context(), "", spans.Spans[7].TraceID)
	if err != nil || got == nil || len(got.Spans) != 10 || len(got.Logs) != 10 {
		t.Fatalf("trace: %+v, %v", got, err)
	}
	want := spans.Spans[3]
	if g, w := fmt.Sprintf("%+v", got.Spans[3].Span), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("span is\n%s\nnot\n%s", g, w)
	}
	if got.Spans[3].Scope.Name != "otelhttp" || got.Spans[3].Resource.Service != "cart" {
		t.Errorf("span is of %+v %+v", got.Spans[3].Scope, got.Spans[3].Resource)
	}
	if got, err := c.reader().Trace(t.Context(), "", telemetry.TraceID{5}); got != nil || err != nil {
		t.Errorf("unknown trace: %+v, %v", got, err)
	}
	if got, err := c.reader().Trace(t.Context(), "other", spans.Spans[7].TraceID); got != nil || err != nil {
		t.Errorf("another tenant's trace: %+v, %v", got, err)
	}
}
