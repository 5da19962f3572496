package query

import (
	"encoding/hex"
	"fmt"
	"math"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// The fields of opentelemetry.proto.trace.v1.Span that are kept in a span's Raw bytes only, and of what is in them
// (opentelemetry/proto/trace/v1/trace.proto, common/v1/common.proto).
const (
	spanEvents = 11<<3 | protobuf.Bytes
	spanLinks  = 13<<3 | protobuf.Bytes

	eventTime  = 1<<3 | protobuf.Fixed64
	eventName  = 2<<3 | protobuf.Bytes
	eventAttrs = 3<<3 | protobuf.Bytes

	linkTrace = 1<<3 | protobuf.Bytes
	linkSpan  = 2<<3 | protobuf.Bytes

	attrKey   = 1<<3 | protobuf.Bytes
	attrValue = 2<<3 | protobuf.Bytes

	valueString = 1<<3 | protobuf.Bytes
	valueBool   = 2<<3 | protobuf.Varint
	valueInt    = 3<<3 | protobuf.Varint
	valueDouble = 4<<3 | protobuf.Fixed64
	valueArray  = 5<<3 | protobuf.Bytes
	valueMap    = 6<<3 | protobuf.Bytes
	valueBytes  = 7<<3 | protobuf.Bytes
)

// eventsAndLinks reads a span's events and links, and returns those before the first that cannot be read.
func eventsAndLinks(raw []byte) (events []jaegerLog, links []jaegerReference, err error) {
	r := protobuf.Read(raw)
	for r.Next() {
		switch r.Tag {
		case spanEvents:
			e, err := readEvent(r.Data)
			if err != nil {
				return events, links, fmt.Errorf("cannot read an event: %w", err)
			}
			events = append(events, e)
		case spanLinks:
			l, err := readLink(r.Data)
			if err != nil {
				return events, links, fmt.Errorf("cannot read a link: %w", err)
			}
			links = append(links, l)
		}
	}
	return events, links, r.Err()
}

func readEvent(b []byte) (e jaegerLog, err error) {
	e.Fields = []jaegerTag{{"event", "string", ""}} // first, wherever it stands
	r := protobuf.Read(b)
	for r.Next() {
		switch r.Tag {
		case eventTime:
			e.Timestamp = int64(r.Bits) / 1000
		case eventName:
			e.Fields[0].Value = string(r.Data)
		case eventAttrs:
			a, err := readAttr(r.Data)
			if err != nil {
				return e, err
			}
			e.Fields = append(e.Fields, newJaegerTag(a))
		}
	}
	return e, r.Err()
}

func readLink(b []byte) (l jaegerReference, err error) {
	l.RefType = "FOLLOWS_FROM"
	r := protobuf.Read(b)
	for r.Next() {
		switch r.Tag {
		case linkTrace:
			l.TraceID = hex.EncodeToString(r.Data)
		case linkSpan:
			l.SpanID = hex.EncodeToString(r.Data)
		}
	}
	return l, r.Err()
}

func readAttr(b []byte) (a telemetry.Attr, err error) {
	r := protobuf.Read(b)
	for r.Next() {
		switch r.Tag {
		case attrKey:
			a.Key = string(r.Data)
		case attrValue:
			if a.Value, err = readValue(r.Data); err != nil {
				return a, err
			}
		}
	}
	return a, r.Err()
}

// readValue reads a value. Of arrays and maps it only says that they are there: Jaeger's tags have none.
func readValue(b []byte) (v telemetry.Value, err error) {
	v.Kind = telemetry.EmptyValue
	r := protobuf.Read(b)
	for r.Next() {
		switch r.Tag {
		case valueString:
			v = telemetry.String(string(r.Data))
		case valueBool:
			v = telemetry.Value{Kind: telemetry.BoolValue, Int: int64(min(r.Bits, 1))}
		case valueInt:
			v = telemetry.Int(int64(r.Bits))
		case valueDouble:
			v = telemetry.Value{Kind: telemetry.FloatValue, Float: math.Float64frombits(r.Bits)}
		case valueBytes:
			v = telemetry.Value{Kind: telemetry.BytesValue, Str: string(r.Data)}
		case valueArray:
			v = telemetry.Value{Kind: telemetry.JSONValue, Str: "[…]"}
		case valueMap:
			v = telemetry.Value{Kind: telemetry.JSONValue, Str: "{…}"}
		}
	}
	return v, r.Err()
}
