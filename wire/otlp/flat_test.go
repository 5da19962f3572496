package otlp_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

// Both pdata and batches are flattened to one text per record, in a form that does not know where braid keeps what:
// attributes that have fields are attributes again, and sorted; lists are JSON in canonical form.

type attrs []string

func (a *attrs) add(key, value string) { *a = append(*a, strconv.Quote(key)+"="+value) }

func (a attrs) String() string {
	slices.Sort(a)
	return "{" + strings.Join(a, " ") + "}"
}

// textValue renders a string or bytes; those that are not UTF-8 look alike.
func textValue(s string, isBytes bool) string {
	if isBytes || !utf8.ValidString(s) {
		return "bytes:" + strconv.Quote(s)
	}
	return "str:" + strconv.Quote(s)
}

func floatValue(f float64) string { return fmt.Sprintf("float:%x", math.Float64bits(f)) }

func flatValue(v telemetry.Value) string {
	switch v.Kind {
	case telemetry.StringValue, telemetry.BytesValue:
		return textValue(v.Str, v.Kind == telemetry.BytesValue)
	case telemetry.IntValue:
		return fmt.Sprintf("int:%d", v.Int)
	case telemetry.BoolValue:
		return fmt.Sprintf("bool:%v", v.Int != 0)
	case telemetry.FloatValue:
		return floatValue(v.Float)
	case telemetry.JSONValue:
		return "json:" + canonical(v.Str)
	}
	return "empty"
}

func flatPdataValue(v pcommon.Value) string {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return textValue(v.Str(), false)
	case pcommon.ValueTypeBytes:
		return textValue(string(v.Bytes().AsRaw()), true)
	case pcommon.ValueTypeInt:
		return fmt.Sprintf("int:%d", v.Int())
	case pcommon.ValueTypeBool:
		return fmt.Sprintf("bool:%v", v.Bool())
	case pcommon.ValueTypeDouble:
		return floatValue(v.Double())
	case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
		return "json:" + canonical(pdataJSON(v))
	}
	return "empty"
}

// pdataJSON renders a value as the package promises to.
func pdataJSON(v pcommon.Value) string {
	quote := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	var parts []string
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return quote(v.Str())
	case pcommon.ValueTypeBytes:
		return quote(base64.StdEncoding.EncodeToString(v.Bytes().AsRaw()))
	case pcommon.ValueTypeInt:
		return strconv.FormatInt(v.Int(), 10)
	case pcommon.ValueTypeBool:
		return strconv.FormatBool(v.Bool())
	case pcommon.ValueTypeDouble:
		f := v.Double()
		switch {
		case math.IsNaN(f):
			return `"NaN"`
		case math.IsInf(f, 0):
			return map[bool]string{true: `"Infinity"`, false: `"-Infinity"`}[f > 0]
		}
		return strconv.FormatFloat(f, 'e', -1, 64)
	case pcommon.ValueTypeMap:
		for k, e := range v.Map().All() {
			parts = append(parts, quote(k)+":"+pdataJSON(e))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case pcommon.ValueTypeSlice:
		for _, e := range v.Slice().All() {
			parts = append(parts, pdataJSON(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return "null"
}

// canonical returns JSON's tokens with floats in one form; text that is no JSON it returns as it is.
func canonical(text string) string {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var out strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			if d.More() || out.Len() == 0 {
				return text
			}
			return out.String()
		}
		if n, ok := token.(json.Number); ok && strings.ContainsAny(string(n), ".eE") {
			f, err := n.Float64()
			if err != nil {
				return text
			}
			token = f
		}
		fmt.Fprintf(&out, "%T(%q) ", token, fmt.Sprint(token))
	}
}

// canonicalBody makes bodies that are lists comparable with the text they are decoded to.
func canonicalBody(s string) string {
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		return canonical(s)
	}
	return s
}

func flatAttrs(list []telemetry.Attr) (a attrs) {
	for _, x := range list {
		a.add(x.Key, flatValue(x.Value))
	}
	return a
}

func flatPdataAttrs(m pcommon.Map) (a attrs) {
	for k, v := range m.All() {
		a.add(k, flatPdataValue(v))
	}
	return a
}

func flatScope(b *telemetry.Batch) string {
	a := flatAttrs(b.Scope.Attrs)
	if !b.FileID.IsZero() {
		a.add("braid.file.id", flatValue(telemetry.String(b.FileID.String())))
		a.add("braid.file.from", flatValue(telemetry.Int(b.From)))
		a.add("braid.file.to", flatValue(telemetry.Int(b.To)))
	}
	return fmt.Sprintf("%s scope %q %q %s", flatAttrs(otlp.ResourceAttributes(nil, b.Resource)), b.Scope.Name,
		b.Scope.Version, a)
}

func flatPdataScope(r pcommon.Resource, s pcommon.InstrumentationScope) string {
	return fmt.Sprintf("%s scope %q %q %s", flatPdataAttrs(r.Attributes()), s.Name(), s.Version(),
		flatPdataAttrs(s.Attributes()))
}

func flatLogs(batches []*telemetry.Batch) (flat []string) {
	for _, b := range batches {
		for i := range b.Logs {
			l := &b.Logs[i]
			a := flatAttrs(l.Attrs)
			if l.Stream != telemetry.UnknownStream {
				a.add("log.iostream", flatValue(telemetry.String(l.Stream.String())))
			}
			if l.Position != 0 {
				a.add("log.file.position", flatValue(telemetry.Int(l.Position)))
			}
			if l.Flags != 0 {
				a.add("braid.flags", flatValue(telemetry.Int(int64(l.Flags))))
			}
			body := "none"
			if l.Body != nil {
				body = strconv.Quote(canonicalBody(string(l.Body)))
			}
			flat = append(flat, fmt.Sprintf("%s log %d %d %d %s %s %s %s", flatScope(b), l.UnixNano, l.ObservedUnixNano,
				l.Severity, l.TraceID, l.SpanID, a, body))
		}
	}
	return flat
}

func flatPdataLogs(l plog.Logs) (flat []string) {
	for _, rl := range l.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				a := flatPdataAttrs(r.Attributes())
				severity := telemetry.Severity(0)
				if n := r.SeverityNumber(); n > 0 && n <= 24 {
					severity = telemetry.Severity(n)
				}
				if s := r.SeverityText(); s != "" {
					said := telemetry.ParseSeverity([]byte(s))
					if severity == 0 {
						severity = said
					}
					if said == 0 || said.String() != severity.String() {
						a.add("braid.severity_text", flatValue(telemetry.String(s)))
					}
				}
				if r.EventName() != "" {
					a.add("event.name", flatValue(telemetry.String(r.EventName())))
				}
				flat = append(flat, fmt.Sprintf("%s log %d %d %d %x %x %s %s", flatPdataScope(rl.Resource(), sl.Scope()),
					int64(r.Timestamp()), int64(r.ObservedTimestamp()), severity, [16]byte(r.TraceID()),
					[8]byte(r.SpanID()), a, flatPdataBody(r.Body())))
			}
		}
	}
	return flat
}

func flatPdataBody(v pcommon.Value) string {
	switch v.Type() {
	case pcommon.ValueTypeEmpty:
		return "none"
	case pcommon.ValueTypeStr:
		return strconv.Quote(canonicalBody(v.Str()))
	case pcommon.ValueTypeBytes:
		return strconv.Quote(canonicalBody(string(v.Bytes().AsRaw())))
	case pcommon.ValueTypeDouble:
		return strconv.Quote(strconv.FormatFloat(v.Double(), 'g', -1, 64))
	}
	return strconv.Quote(canonicalBody(pdataJSON(v)))
}

func flatSpans(batches []*telemetry.Batch) (flat []string) {
	for _, b := range batches {
		for i := range b.Spans {
			s := &b.Spans[i]
			flat = append(flat, fmt.Sprintf("%s span %s %s %s %q %d %d %d %s %d %q", flatScope(b), s.TraceID, s.SpanID,
				s.ParentID, s.Name, s.Kind, s.StartUnixNano, s.EndUnixNano, flatAttrs(s.Attrs), s.Status,
				s.StatusMessage))
		}
	}
	return flat
}

func flatPdataSpans(t ptrace.Traces) (flat []string) {
	known := func(n, highest int32) int32 {
		if n < 0 || n > highest {
			return 0
		}
		return n
	}
	for _, rs := range t.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				flat = append(flat, fmt.Sprintf("%s span %x %x %x %q %d %d %d %s %d %q",
					flatPdataScope(rs.Resource(), ss.Scope()), [16]byte(s.TraceID()), [8]byte(s.SpanID()),
					[8]byte(s.ParentSpanID()), s.Name(), known(int32(s.Kind()), 5), int64(s.StartTimestamp()),
					int64(s.EndTimestamp()), flatPdataAttrs(s.Attributes()), known(int32(s.Status().Code()), 2),
					s.Status().Message()))
			}
		}
	}
	return flat
}
