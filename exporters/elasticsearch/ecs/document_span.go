package ecs

import "github.com/braidhq/braid/telemetry"

// AppendSpan appends the document of p.
func AppendSpan(dst []byte, p *telemetry.Span, s *Setting, f Form) []byte {
	o := open(dst, "")
	at := firstTime(p.StartUnixNano, s.received)
	if f == Plain && at < 0 {
		at = s.received
	}
	o.time("@timestamp", at)
	event := o.nested("event")
	event.key("ingested")
	event.dst = append(event.dst, s.ingested...)
	event.int("duration", p.EndUnixNano-p.StartUnixNano)
	if p.Status != telemetry.StatusUnset {
		event.text("outcome", eventOutcome(p.Status))
	}
	o.end(event)
	if !p.TraceID.IsZero() {
		n := o.nested("trace")
		n.id(p.TraceID[:])
		o.end(n)
	}
	span := o.nested("span")
	if !p.SpanID.IsZero() {
		span.id(p.SpanID[:])
	}
	span.text("name", p.Name)
	span.text("kind", p.Kind.String())
	status := span.nested("status")
	status.text("code", p.Status.String())
	status.text("message", p.StatusMessage)
	span.end(status)
	o.end(span)
	if !p.ParentID.IsZero() {
		n := o.nested("parent")
		n.id(p.ParentID[:])
		o.end(n)
	}
	if f == Full {
		o.attrs("attributes", p.Attrs)
	} else {
		o.asText("attributes_text", p.Attrs)
		if p.StartUnixNano < 0 {
			o.int("event_unix_nano", p.StartUnixNano)
		}
	}
	return append(o.dst, s.tail...)
}

func eventOutcome(c telemetry.StatusCode) string {
	if c == telemetry.StatusError {
		return "failure"
	}
	return "success"
}

// AppendSpanID appends the id of p's document: trace id, span id, kind and start, so that a span that several senders
// pass on is one document. A span that names no span id is known by its UID.
func AppendSpanID(dst []byte, p *telemetry.Span) []byte {
	if p.SpanID.IsZero() {
		return AppendHex(dst, p.UID[:])
	}
	dst = AppendHex(dst, p.TraceID[:])
	dst = AppendHex(dst, p.SpanID[:])
	dst = AppendHex(dst, []byte{byte(p.Kind)})
	start := uint64(p.StartUnixNano)
	for shift := 56; shift >= 0; shift -= 8 {
		dst = append(dst, hexDigits[start>>(shift+4)&15], hexDigits[start>>shift&15])
	}
	return dst
}
