package query

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/braidhq/braid/telemetry"
)

// Attributes are a JSON object that keeps the order of its keys. Integers stay integers; a float always has a dot, an
// exponent, or is one of the strings "NaN", "Infinity", "-Infinity"; bytes are {"base64":"…"}; arrays and maps are JSON.
type Attributes []telemetry.Attr

// MarshalJSON implements json.Marshaler.
func (a Attributes) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i := range a {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, a[i].Key)
		b = append(b, ':')
		b = appendValue(b, a[i].Value)
	}
	return append(b, '}'), nil
}

func appendString(b []byte, s string) []byte {
	j, err := json.Marshal(s)
	if err != nil {
		panic("BUG: a string does not marshal: " + err.Error())
	}
	return append(b, j...)
}

func appendValue(b []byte, v telemetry.Value) []byte {
	switch v.Kind {
	case telemetry.StringValue:
		return appendString(b, v.Str)
	case telemetry.IntValue:
		return strconv.AppendInt(b, v.Int, 10)
	case telemetry.BoolValue:
		return strconv.AppendBool(b, v.Int != 0)
	case telemetry.FloatValue:
		return appendFloat(b, v.Float)
	case telemetry.BytesValue:
		b = append(b, `{"base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, []byte(v.Str))
		return append(b, `"}`...)
	case telemetry.JSONValue:
		if json.Valid([]byte(v.Str)) {
			return append(b, v.Str...)
		}
		return appendString(b, v.Str)
	}
	return append(b, "null"...)
}

func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[start:], ".e") {
		b = append(b, ".0"...)
	}
	return b
}

// UnmarshalJSON implements json.Unmarshaler. Nested objects and arrays come back as JSON values.
func (a *Attributes) UnmarshalJSON(data []byte) error {
	*a = nil
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	start, err := d.Token()
	if err != nil {
		return err
	}
	if start == nil { // null
		return nil
	}
	if start != json.Delim('{') {
		return fmt.Errorf("cannot read attributes: they begin with %v", start)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		v, err := decodeValue(raw)
		if err != nil {
			return err
		}
		*a = append(*a, telemetry.Attr{Key: key.(string), Value: v})
	}
	_, err = d.Token()
	return err
}

func decodeValue(raw json.RawMessage) (telemetry.Value, error) {
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return telemetry.String(s), err
	case 't':
		return telemetry.Value{Kind: telemetry.BoolValue, Int: 1}, nil
	case 'f':
		return telemetry.Value{Kind: telemetry.BoolValue}, nil
	case 'n':
		return telemetry.Value{Kind: telemetry.EmptyValue}, nil
	case '{', '[':
		var b struct {
			Base64 *[]byte `json:"base64"`
		}
		if bytes.HasPrefix(raw, []byte(`{"base64":`)) && json.Unmarshal(raw, &b) == nil && b.Base64 != nil {
			return telemetry.Value{Kind: telemetry.BytesValue, Str: string(*b.Base64)}, nil
		}
		return telemetry.Value{Kind: telemetry.JSONValue, Str: string(raw)}, nil
	}
	if !bytes.ContainsAny(raw, ".eE") {
		if i, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return telemetry.Int(i), nil
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("cannot read number %s: %w", raw, err)
	}
	return telemetry.Value{Kind: telemetry.FloatValue, Float: f}, nil
}
