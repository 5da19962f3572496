package otlp

import (
	"math"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// appendAttr appends a KeyValue as field tag of one byte.
func appendAttr(dst []byte, tag protobuf.Tag, key string, v telemetry.Value) []byte {
	value := sizeValue(v)
	dst = protobuf.AppendLen(dst, tag, protobuf.SizeBytes(len(key))+protobuf.SizeBytes(value))
	dst = protobuf.AppendString(dst, attrKey, key)
	dst = protobuf.AppendLen(dst, attrValue, value)
	return appendValue(dst, v)
}

func sizeAttr(key string, v telemetry.Value) int {
	return protobuf.SizeBytes(len(key)) + protobuf.SizeBytes(sizeValue(v))
}

// appendValue appends the content of an AnyValue. Every kind, zero or not, is written: it is a oneof.
func appendValue(dst []byte, v telemetry.Value) []byte {
	switch v.Kind {
	case telemetry.StringValue:
		if !utf8.ValidString(v.Str) {
			return protobuf.AppendString(dst, valueBytes, v.Str)
		}
		return protobuf.AppendString(dst, valueString, v.Str)
	case telemetry.BytesValue:
		return protobuf.AppendString(dst, valueBytes, v.Str)
	case telemetry.IntValue:
		return protobuf.AppendTagged(dst, valueInt, uint64(v.Int))
	case telemetry.BoolValue:
		return append(dst, valueBool, byte(v.Int&1))
	case telemetry.FloatValue:
		return protobuf.AppendFixed64(dst, valueDouble, math.Float64bits(v.Float))
	case telemetry.JSONValue:
		return appendJSON(dst, v.Str)
	}
	return dst
}

func sizeValue(v telemetry.Value) int {
	switch v.Kind {
	case telemetry.StringValue, telemetry.BytesValue:
		return protobuf.SizeBytes(len(v.Str))
	case telemetry.IntValue:
		return 1 + protobuf.SizeVarint(uint64(v.Int))
	case telemetry.BoolValue:
		return 2
	case telemetry.FloatValue:
		return 9
	case telemetry.JSONValue:
		return len(appendJSON(nil, v.Str))
	}
	return 0
}
