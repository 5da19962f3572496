package otlp_test

import (
	"math"
	"math/rand/v2"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// A generator makes requests that are rich in corner cases; the same seed makes the same ones.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 0))} }

var keys = []string{
	"", "a", "http.method", "log.iostream", "log.file.position", "braid.flags", "braid.file.id", "braid.file.from",
	"braid.file.to", "k8s.pod.name", "k8s.namespace.name", "k8s.container.name", "k8s.container.restart_count",
	"service.name", "service.instance.id", "container.id", "k8s.deployment.name", "event.name", "ключ", "b", longKey, longerKey,
}

// longKey has the length of "a" and "b" modulo 64; longerKey takes two bytes for its length.
var longKey, longerKey = strings.Repeat("k", 65), strings.Repeat("k", 130)

func (g generator) key() string { return keys[g.IntN(len(keys))] }

func (g generator) text() string {
	switch g.IntN(8) {
	case 0:
		return ""
	case 7:
		return strings.Repeat("x", 118+g.IntN(12)) // around where lengths take a second byte: of it, of its value, of the attribute
	case 1:
		return "stdout"
	case 2:
		return "0123456789abcdef01234567"
	case 3:
		return "not \xff UTF-8 \xe2\x82"
	case 4:
		return "quote \" backslash \\ newline \n nul \x00 del \x7f umlaut ü   "
	case 5:
		return strings.Repeat("long ", g.IntN(60))
	}
	return "text"
}

// huge returns text around where lengths take a third byte.
func (g generator) huge() string { return strings.Repeat("x", 1<<14-12+g.IntN(16)) }

func (g generator) value(v pcommon.Value, depth int) {
	switch n := g.IntN(9); {
	case n == 0: // empty
	case n == 1:
		v.SetInt([]int64{0, 1, -1, 255, 256, math.MaxInt64, math.MinInt64}[g.IntN(7)])
	case n == 2:
		v.SetDouble([]float64{0, math.Copysign(0, -1), 3, 0.1, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)}[g.IntN(8)])
	case n == 3:
		v.SetBool(g.IntN(2) == 0)
	case n == 4:
		v.SetEmptyBytes().FromRaw([]byte(g.text()))
	case n == 5 && depth > 0:
		list := v.SetEmptySlice()
		for range g.IntN(4) {
			g.value(list.AppendEmpty(), depth-1)
		}
	case n == 6 && depth > 0:
		g.attrs(v.SetEmptyMap(), depth-1)
	default:
		v.SetStr(g.text())
	}
}

func (g generator) attrs(m pcommon.Map, depth int) {
	for range g.IntN(7) {
		g.value(m.PutEmpty(g.key()), depth)
	}
}

func (g generator) time() pcommon.Timestamp {
	return []pcommon.Timestamp{0, 1, 1795219578243493665, math.MaxUint64}[g.IntN(4)]
}

func (g generator) traceID() (id pcommon.TraceID) {
	if g.IntN(2) == 0 {
		id[g.IntN(16)] = byte(g.Uint32())
	}
	return id
}

func (g generator) spanID() (id pcommon.SpanID) {
	if g.IntN(2) == 0 {
		id[g.IntN(8)] = byte(g.Uint32())
	}
	return id
}

func (g generator) scope(s pcommon.InstrumentationScope) {
	if g.IntN(3) == 0 {
		return
	}
	s.SetName([]string{"", "braid", "lib"}[g.IntN(3)])
	s.SetVersion([]string{"", "1.2.3"}[g.IntN(2)])
	g.attrs(s.Attributes(), 2)
	if g.IntN(2) == 0 {
		s.Attributes().PutStr("braid.file.id", "0123456789abcdef01234567")
		s.Attributes().PutInt("braid.file.from", 7)
		s.Attributes().PutInt("braid.file.to", 1<<40)
	}
}

func (g generator) logs() plog.Logs {
	l := plog.NewLogs()
	for range g.IntN(4) {
		rl := l.ResourceLogs().AppendEmpty()
		rl.SetSchemaUrl("https://opentelemetry.io/schemas/1.30.0")
		g.attrs(rl.Resource().Attributes(), 2)
		for range g.IntN(3) {
			sl := rl.ScopeLogs().AppendEmpty()
			g.scope(sl.Scope())
			for range g.IntN(5) {
				g.record(sl.LogRecords().AppendEmpty())
			}
		}
	}
	return l
}

func (g generator) record(r plog.LogRecord) {
	r.SetTimestamp(g.time())
	r.SetObservedTimestamp(g.time())
	r.SetSeverityNumber(plog.SeverityNumber(g.IntN(30) - 2))
	r.SetSeverityText([]string{"", "INFO", "error", "Verbose-7", "notice"}[g.IntN(5)])
	r.SetTraceID(g.traceID())
	r.SetSpanID(g.spanID())
	r.SetFlags(plog.LogRecordFlags(g.IntN(2)))
	r.SetDroppedAttributesCount(uint32(g.IntN(2)))
	r.SetEventName([]string{"", "", "started"}[g.IntN(3)])
	g.value(r.Body(), 3)
	g.attrs(r.Attributes(), 3)
}

func (g generator) traces() ptrace.Traces {
	t := ptrace.NewTraces()
	for range g.IntN(4) {
		rs := t.ResourceSpans().AppendEmpty()
		g.attrs(rs.Resource().Attributes(), 2)
		for range g.IntN(3) {
			ss := rs.ScopeSpans().AppendEmpty()
			g.scope(ss.Scope())
			for range g.IntN(5) {
				g.span(ss.Spans().AppendEmpty())
			}
		}
	}
	return t
}

func (g generator) span(s ptrace.Span) {
	s.SetTraceID(g.traceID())
	s.SetSpanID(g.spanID())
	s.SetParentSpanID(g.spanID())
	s.SetName(g.text())
	s.SetKind(ptrace.SpanKind(g.IntN(8)))
	s.SetStartTimestamp(g.time())
	s.SetEndTimestamp(g.time())
	s.SetFlags(g.Uint32())
	s.TraceState().FromRaw([]string{"", "a=b"}[g.IntN(2)])
	s.SetDroppedLinksCount(uint32(g.IntN(2)))
	s.Status().SetCode(ptrace.StatusCode(g.IntN(4)))
	s.Status().SetMessage([]string{"", "boom"}[g.IntN(2)])
	g.attrs(s.Attributes(), 3)
	if g.IntN(20) == 0 {
		s.Attributes().PutStr(g.key(), g.huge())
	}
	for range g.IntN(2) {
		e := s.Events().AppendEmpty()
		e.SetName("exception")
		e.SetTimestamp(g.time())
		g.attrs(e.Attributes(), 2)
		link := s.Links().AppendEmpty()
		link.SetTraceID(g.traceID())
		link.SetSpanID(g.spanID())
		link.SetFlags(g.Uint32())
		g.attrs(link.Attributes(), 2)
	}
}
