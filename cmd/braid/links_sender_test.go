package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/protobuf/encoding/protowire"
)

// A linkSender sends what a plan says to one aggregator, as many SDKs and agents would: each repeats a request, byte by
// byte, until it is acknowledged. Some answers are lost on the way back, and what was acknowledged is sent again.
type linkSender struct {
	plan   *linkPlan
	base   string
	client *http.Client

	spans    atomic.Int64 // acknowledged
	requests atomic.Int64
	repeats  atomic.Int64 // after a failure
	again    atomic.Int64 // sent again though they were acknowledged

	mu   sync.Mutex
	last map[string][]byte // what was acknowledged last, by path and sender
}

// answersLost is of how many answers one is lost.
const answersLost = 50

func newLinkSender(plan *linkPlan, base string) *linkSender {
	return &linkSender{plan: plan, base: base, last: map[string][]byte{}, client: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4 * linkServices},
	}}
}

var errRefused = errors.New("refused for good")

// deliver sends body until it is acknowledged. Where the aggregator has been away meanwhile, the sender has had no answer to
// the request before, either.
func (s *linkSender) deliver(ctx context.Context, path, sender string, header http.Header, body []byte) (*shipment, error) {
	by := &shipment{sent: time.Now().UnixNano()}
	failed, err := s.insist(ctx, path, header, body)
	if err != nil {
		return nil, err
	}
	by.acked = time.Now().UnixNano()
	s.mu.Lock()
	before := s.last[path+sender]
	s.last[path+sender] = body
	s.mu.Unlock()
	if s.requests.Add(1)%answersLost == 0 {
		before, failed = body, true
	}
	if failed && before != nil {
		s.again.Add(1)
		_, err = s.insist(ctx, path, header, before)
	}
	return by, err
}

// insist posts body until that succeeds; failed: not at once.
func (s *linkSender) insist(ctx context.Context, path string, header http.Header, body []byte) (failed bool, err error) {
	for {
		err := s.post(ctx, path, header, body)
		if err == nil || errors.Is(err, errRefused) {
			return failed, err
		}
		failed = true
		s.repeats.Add(1)
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return failed, err
		}
	}
}

func (s *linkSender) post(ctx context.Context, path string, header http.Header, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header.Clone()
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode/100 == 4 && resp.StatusCode != http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s %s: %.300s", errRefused, path, resp.Status, text)
	}
	return fmt.Errorf("%s: %s: %.300s", path, resp.Status, text)
}

// pause waits for d, or for the end of ctx, which is an error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

type planned interface {
	when() time.Duration
	shipped(*shipment)
}

// The most that one request has, and how often each service sends what it has.
const (
	linkBatch = 1000
	linkEvery = 250 * time.Millisecond
)

// feed sends items, which are in order, each once it is due, at phase and then once in linkEvery.
func feed[T planned](ctx context.Context, s *linkSender, phase time.Duration, items []T, send func(context.Context, []T) (*shipment, error)) error {
	// next waits for the next moment to send that does not lie before the time at.
	next := func(at time.Duration) error {
		turns := max(0, at-phase+linkEvery-1) / linkEvery
		return pause(ctx, phase+turns*linkEvery-time.Since(s.plan.origin))
	}
	for len(items) > 0 {
		n, now := 0, time.Since(s.plan.origin)
		for n < min(len(items), linkBatch) && items[n].when() <= now {
			n++
		}
		if n == 0 {
			if err := next(max(now+1, items[0].when())); err != nil {
				return err
			}
			continue
		}
		by, err := send(ctx, items[:n])
		if err != nil {
			return err
		}
		for _, item := range items[:n] {
			item.shipped(by)
		}
		items = items[n:]
		if n < linkBatch { // else it is behind
			if err := next(time.Since(s.plan.origin) + 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// run sends all of the plan. What is scraped goes on until ctx ends.
func (s *linkSender) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var senders sync.WaitGroup
	begin := func(f func() error) {
		senders.Go(func() {
			if err := f(); err != nil {
				cancel(err)
			}
		})
	}
	for i := range linkServices {
		// No two send at the same moment: whenever the aggregator is killed, some are about to.
		phase := time.Duration(i) * linkEvery / linkServices
		begin(func() error { return feed(ctx, s, phase, s.plan.spansOf[i], s.sendSpans) })
		begin(func() error { return feed(ctx, s, phase+linkEvery/linkServices/2, s.plan.linesOf[i], s.sendLines) })
		senders.Add(1)
		go func() {
			if err := s.scrapes(ctx, s.plan.exemplarsOf[i], senders.Done); err != nil {
				cancel(err)
			}
		}()
	}
	begin(func() error { return feed(ctx, s, 0, s.plan.huge, s.sendSpans) })
	begin(func() error { return s.sendReturning(ctx) })
	begin(func() error { return s.sendNotSpans(ctx) })
	senders.Wait()
	return context.Cause(ctx)
}

var protobufHeader = http.Header{"Content-Type": {"application/x-protobuf"}}

// at is a planned time by the clock.
func (s *linkSender) at(d time.Duration) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(s.plan.origin.Add(d))
}

// sendSpans sends spans of one service.
func (s *linkSender) sendSpans(ctx context.Context, spans []*plannedSpan) (*shipment, error) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", s.plan.service(spans[0].service))
	list := rs.ScopeSpans().AppendEmpty().Spans()
	list.EnsureCapacity(len(spans))
	for _, p := range spans {
		to := list.AppendEmpty()
		if p.trace != nil {
			to.SetTraceID(pcommon.TraceID(p.trace.id))
		}
		to.SetSpanID(pcommon.SpanID(p.id))
		to.SetParentSpanID(pcommon.SpanID(p.parent))
		to.SetName(p.name)
		to.SetKind(ptrace.SpanKind(p.kind))
		to.SetStartTimestamp(s.at(p.start))
		to.SetEndTimestamp(s.at(p.end))
		if p.failed {
			to.Status().SetCode(ptrace.StatusCodeError)
		}
		if p.pay {
			to.Attributes().PutStr("http.route", "/pay")
		}
		if p.load != "" {
			to.Attributes().PutStr("load", p.load)
		}
		for i := range p.attrs {
			to.Attributes().PutInt("attribute."+strconv.Itoa(i), int64(i))
		}
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		return nil, err
	}
	by, err := s.deliver(ctx, "/v1/traces", s.plan.service(spans[0].service), protobufHeader, body)
	s.spans.Add(int64(len(spans)))
	return by, err
}

// sendReturning sends every trace of an id that returns, and the second ones when the first are surely over.
func (s *linkSender) sendReturning(ctx context.Context) error {
	for life := range 2 {
		var spans []*plannedSpan
		for i := life; i < len(s.plan.returning); i += 2 {
			spans = append(spans, s.plan.returning[i].spans...)
		}
		now := time.Since(s.plan.origin)
		for _, p := range spans {
			p.start, p.end, p.due = now, now+p.end, now
		}
		by, err := s.sendSpans(ctx, spans)
		if err != nil {
			return err
		}
		for _, p := range spans {
			p.shipped(by)
		}
		if life == 0 {
			over := time.Until(time.Unix(0, by.acked).Add(linkWait + linkLate + 2*time.Second))
			if err := pause(ctx, over); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendNotSpans sends spans whose ids are too short and too long, which no SDK encodes.
func (s *linkSender) sendNotSpans(ctx context.Context) error {
	id := []byte("an id that is far too long for one")
	for i := range s.plan.notSpans {
		var span []byte
		span = protowire.AppendBytes(protowire.AppendTag(span, 1, protowire.BytesType), id[:[]int{1, 8, 15, 17, 32}[i%5]])
		span = protowire.AppendBytes(protowire.AppendTag(span, 2, protowire.BytesType), id[:1+i%7])
		span = protowire.AppendString(protowire.AppendTag(span, 5, protowire.BytesType), fmt.Sprintf("odd %d", i))
		name := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "service.name")
		value := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), s.plan.service(0))
		attr := protowire.AppendBytes(protowire.AppendTag(name, 2, protowire.BytesType), value)
		resource := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), attr)
		scope := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), span)
		spans := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), resource)
		spans = protowire.AppendBytes(protowire.AppendTag(spans, 2, protowire.BytesType), scope)
		body := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), spans)
		if _, err := s.deliver(ctx, "/v1/traces", "odd", protobufHeader, body); err != nil {
			return err
		}
		s.spans.Add(1)
	}
	return nil
}

func lineText(run string, n int) string { return fmt.Sprintf("%s line %d", run, n) }

// lineNumber reads what lineText has written.
func lineNumber(run, text string) (int, error) {
	digits, ok := strings.CutPrefix(text, run+" line ")
	if !ok {
		return 0, fmt.Errorf("%.100q is no line of %s", text, run)
	}
	return strconv.Atoi(digits)
}

// sendLines sends lines of one service.
func (s *linkSender) sendLines(ctx context.Context, lines []*plannedLine) (*shipment, error) {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", s.plan.service(lines[0].service))
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	records.EnsureCapacity(len(lines))
	for _, l := range lines {
		to := records.AppendEmpty()
		to.SetTimestamp(s.at(l.due))
		to.SetSeverityNumber(plog.SeverityNumber(l.severity))
		to.Body().SetStr(lineText(s.plan.run, l.n))
		if l.trace != nil {
			to.SetTraceID(pcommon.TraceID(l.trace.id))
		}
		if l.span != nil {
			to.SetSpanID(pcommon.SpanID(l.span.id))
		}
	}
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if err != nil {
		return nil, err
	}
	return s.deliver(ctx, "/v1/logs", s.plan.service(lines[0].service), protobufHeader, body)
}

var writeHeader = http.Header{
	"Content-Type":                      {"application/x-protobuf;proto=io.prometheus.write.v2.Request"},
	"Content-Encoding":                  {"snappy"},
	"X-Prometheus-Remote-Write-Version": {"2.0.0"},
}

// scrapedMetric is what scrapes have found; its exemplars are planned.
const scrapedMetric = "links_scraped_total"

// scrapes sends what is scraped of one service each second: a sample of one series, and the exemplars that are new. done is
// called when all of them are sent; samples go on, since an exemplar may have to wait for a later one, until ctx ends.
func (s *linkSender) scrapes(ctx context.Context, exemplars []*plannedExemplar, done func()) error {
	service := exemplars[0].service
	last := int64(0) // time of the last exemplar, in milliseconds: each is later than the one before
	for {
		now, n := time.Now().UnixMilli(), 0
		for n < len(exemplars) && exemplars[n].due <= time.Since(s.plan.origin) {
			n++
		}
		request := &writev2.Request{Symbols: []string{"", "__name__", scrapedMetric, "run", s.plan.run, "service", s.plan.service(service), "trace_id", "span_id"}}
		series := writev2.TimeSeries{LabelsRefs: []uint32{1, 2, 3, 4, 5, 6}, Samples: []writev2.Sample{{Value: float64(now), Timestamp: now}}}
		last = max(last, now-int64(n))
		for _, e := range exemplars[:n] {
			last++
			refs := uint32(len(request.Symbols))
			request.Symbols = append(request.Symbols, e.text, e.span.String())
			series.Exemplars = append(series.Exemplars, writev2.Exemplar{
				LabelsRefs: []uint32{7, refs, 8, refs + 1}, Value: float64(e.n), Timestamp: last,
			})
		}
		request.Timeseries = append(request.Timeseries, series)
		by, err := s.write(ctx, s.plan.service(service), request)
		if err != nil {
			return err
		}
		for _, e := range exemplars[:n] {
			e.shipped(by)
		}
		if exemplars = exemplars[n:]; len(exemplars) == 0 && done != nil {
			done()
			done = nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil
		}
	}
}

func (s *linkSender) write(ctx context.Context, sender string, request *writev2.Request) (*shipment, error) {
	raw, err := request.Marshal()
	if err != nil {
		return nil, err
	}
	return s.deliver(ctx, "/api/v1/write", sender, writeHeader, snappy.Encode(nil, raw))
}

// A laggard stands before a server and refuses everything until it is let go.
type laggard struct {
	through atomic.Bool
	refused atomic.Int64
	proxy   *httputil.ReverseProxy
}

func newLaggard(target string) (*laggard, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	return &laggard{proxy: httputil.NewSingleHostReverseProxy(to)}, nil
}

func (l *laggard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !l.through.Load() {
		l.refused.Add(1)
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	}
	l.proxy.ServeHTTP(w, r)
}
