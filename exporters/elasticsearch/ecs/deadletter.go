package ecs

import "github.com/braidhq/braid/telemetry"

// A DeadLetter is a document that Elasticsearch refuses, and why.
type DeadLetter struct {
	DataStream   string // where it belongs
	Original     []byte
	Cut          bool // Original is the beginning only
	Type, Reason string
}

// AppendDeadLetter appends the document that says of one of b's why it is not where it belongs. Whose it is stays
// visible, so that access control can judge it as it would have judged the original.
func AppendDeadLetter(dst []byte, d *DeadLetter, b *telemetry.Batch, s *Setting) []byte {
	o := open(dst, "")
	o.time("@timestamp", s.received)
	event := o.nested("event")
	event.key("ingested")
	event.dst = append(event.dst, s.ingested...)
	event.key("original")
	event.dst, _ = appendText(event.dst, d.Original)
	o.end(event)
	failure := o.nested("error")
	failure.text("type", d.Type)
	failure.text("message", d.Reason)
	o.end(failure)
	marks := o.nested("braid")
	marks.text("data_stream", d.DataStream)
	if d.Cut {
		marks.key("original_cut")
		marks.dst = append(marks.dst, "true"...)
	}
	o.end(marks)
	o.textIn("organization", "id", b.Tenant)
	appendIdentity(&o, b.Resource)
	return append(o.dst, '}')
}
