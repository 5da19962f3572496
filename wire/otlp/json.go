package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// renderValue appends v as JSON. Lists are walked without looking for errors: v has been checked.
func renderValue(dst []byte, v anyValue) []byte {
	switch v.kind {
	case telemetry.StringValue:
		return renderString(dst, v.data)
	case telemetry.BytesValue:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), v.data)
		return append(dst, '"')
	case telemetry.IntValue:
		return strconv.AppendInt(dst, int64(v.bits), 10)
	case telemetry.FloatValue:
		return renderFloat(dst, math.Float64frombits(v.bits))
	case telemetry.BoolValue:
		return strconv.AppendBool(dst, v.bits != 0)
	case telemetry.JSONValue:
		if v.isMap {
			return renderMap(dst, v.data)
		}
		return renderArray(dst, v.data)
	}
	return append(dst, "null"...)
}

func renderArray(dst, list []byte) []byte {
	dst = append(dst, '[')
	first := true
	r := protobuf.Read(list)
	for r.Next() {
		if r.Tag != listValues {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = renderValue(dst, trusted(r.Data))
	}
	return append(dst, ']')
}

func renderMap(dst, list []byte) []byte {
	dst = append(dst, '{')
	first := true
	r := protobuf.Read(list)
	for r.Next() {
		if r.Tag != listValues {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		key, value := []byte(nil), anyValue{kind: telemetry.EmptyValue}
		kv := protobuf.Read(r.Data)
		for kv.Next() {
			switch kv.Tag {
			case attrKey:
				key = kv.Data
			case attrValue:
				value.merge(kv.Data)
			}
		}
		dst = append(renderString(dst, key), ':')
		dst = renderValue(dst, value)
	}
	return append(dst, '}')
}

// renderFloat always leaves a point, an exponent or a string, so that a whole float does not come back as an integer.
func renderFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	if !bytes.ContainsAny(dst[start:], ".e") {
		dst = append(dst, ".0"...)
	}
	return dst
}

func renderString(dst, s []byte) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r) // U+FFFD for what is no UTF-8
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}

// appendJSON appends text, a JSON value, as the content of an AnyValue. Order and repeated keys are kept. Text that is
// not one JSON value, or is nested deeper than a decoder takes, is written as the string it is.
func appendJSON(dst []byte, text string) []byte {
	start := len(dst)
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	dst, ok := appendToken(dst, d, 1)
	if _, err := d.Token(); !ok || err != io.EOF {
		return appendValue(dst[:start], telemetry.String(text))
	}
	return dst
}

func appendToken(dst []byte, d *json.Decoder, depth int) ([]byte, bool) {
	token, err := d.Token()
	if err != nil {
		return dst, false
	}
	switch t := token.(type) {
	case string:
		return appendValue(dst, telemetry.String(t)), true
	case bool:
		if t {
			return append(dst, valueBool, 1), true
		}
		return append(dst, valueBool, 0), true
	case json.Number:
		return appendNumber(dst, string(t))
	case json.Delim:
		if depth > maxDepth {
			return dst, false
		}
		return appendList(dst, d, t == '{', depth)
	}
	return dst, true // null
}

func appendNumber(dst []byte, s string) ([]byte, bool) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return appendValue(dst, telemetry.Int(i)), true
	}
	f, err := strconv.ParseFloat(s, 64)
	return appendValue(dst, telemetry.Value{Kind: telemetry.FloatValue, Float: f}), err == nil
}

// appendList is called behind the opening bracket.
func appendList(dst []byte, d *json.Decoder, isMap bool, depth int) (_ []byte, ok bool) {
	tag := protobuf.Tag(valueArray)
	if isMap {
		tag = valueMap
	}
	dst, list := protobuf.Open(dst, tag)
	for d.More() {
		var element, value int
		dst, element = protobuf.Open(dst, listValues)
		if isMap {
			key, err := d.Token()
			s, isString := key.(string)
			if err != nil || !isString {
				return dst, false
			}
			dst = protobuf.AppendString(dst, attrKey, s)
			dst, value = protobuf.Open(dst, attrValue)
		}
		if dst, ok = appendToken(dst, d, depth+1); !ok {
			return dst, false
		}
		if isMap {
			protobuf.Close(dst, value)
		}
		protobuf.Close(dst, element)
	}
	if _, err := d.Token(); err != nil {
		return dst, false
	}
	protobuf.Close(dst, list)
	return dst, true
}
