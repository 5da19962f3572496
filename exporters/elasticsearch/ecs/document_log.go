package ecs

import (
	"encoding/base64"

	"github.com/braidhq/braid/telemetry"
)

// AppendLog appends the document of l.
func AppendLog(dst []byte, l *telemetry.Log, s *Setting, f Form) []byte {
	o := open(dst, "")
	at := firstTime(l.UnixNano, l.ObservedUnixNano, s.received)
	if f == Plain && at < 0 { // before 1970: date_nanos cannot say so
		at = s.received
	}
	o.time("@timestamp", at)
	event := o.nested("event")
	if l.ObservedUnixNano > 0 {
		event.time("created", l.ObservedUnixNano)
	}
	event.key("ingested")
	event.dst = append(event.dst, s.ingested...)
	if l.Severity != telemetry.SeverityUnspecified {
		event.int("severity", int64(l.Severity))
	}
	o.end(event)
	log := o.nested("log")
	log.text("level", l.Severity.String())
	log.text("iostream", l.Stream.String())
	if s.isFile {
		log.int("offset", l.Position)
	}
	o.end(log)
	o.key("message")
	var valid bool
	o.dst, valid = appendText(o.dst, l.Body)
	appendIDs(&o, l.TraceID, l.SpanID)
	if f == Full {
		o.attrs("attributes", l.Attrs)
	} else {
		o.asText("attributes_text", l.Attrs)
		if l.UnixNano < 0 {
			o.int("event_unix_nano", l.UnixNano)
		}
	}
	if !valid || l.Flags != 0 {
		appendMarks(&o, l, valid)
	}
	return append(o.dst, s.tail...)
}

func appendIDs(o *object, trace telemetry.TraceID, span telemetry.SpanID) {
	if !trace.IsZero() {
		n := o.nested("trace")
		n.id(trace[:])
		o.end(n)
	}
	if !span.IsZero() {
		n := o.nested("span")
		n.id(span[:])
		o.end(n)
	}
}

// appendMarks appends what is said of few lines: their flags, and the exact body of one that is not valid UTF-8.
func appendMarks(o *object, l *telemetry.Log, valid bool) {
	marks := o.nested("braid")
	if l.Flags != 0 {
		marks.key("flags")
		marks.dst = append(marks.dst, '[')
		for _, flag := range flagNames {
			if l.Flags&flag.bit == 0 {
				continue
			}
			if marks.dst[len(marks.dst)-1] != '[' {
				marks.dst = append(marks.dst, ',')
			}
			marks.dst = appendString(marks.dst, flag.name)
		}
		marks.dst = append(marks.dst, ']')
	}
	if !valid {
		marks.key("body_base64")
		marks.dst = append(marks.dst, '"')
		marks.dst = base64.StdEncoding.AppendEncode(marks.dst, l.Body)
		marks.dst = append(marks.dst, '"')
	}
	o.end(marks)
}

var flagNames = [...]struct {
	bit  telemetry.LogFlags
	name string
}{{telemetry.Truncated, "truncated"}, {telemetry.Partial, "partial"}, {telemetry.Future, "future"}}
