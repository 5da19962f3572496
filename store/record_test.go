package store

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

// Decoders must not panic or allocate by a corrupt count, and what they accept must encode to what decodes alike.

func FuzzDecodeLog(f *testing.F) {
	k := logKey{stream: 1, at: base, uid: telemetry.UID{3}}
	f.Add(appendLog(nil, &telemetry.Log{Body: []byte("x")}, base))
	f.Add(appendLog(nil, &telemetry.Log{
		UnixNano: base, ObservedUnixNano: 5, TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{2}, Position: 1 << 40,
		Attrs: []telemetry.Attr{{Key: "k", Value: telemetry.Int(1)}, {Key: "f", Value: telemetry.Value{Kind: telemetry.FloatValue, Float: 2}}},
	}, base))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l, again telemetry.Log
		if decodeLog(b, k, &l) != nil {
			return
		}
		encoded := appendLog(nil, &l, k.at)
		if err := decodeLog(encoded, k, &again); err != nil {
			t.Fatalf("% x: %v", encoded, err)
		}
		if !bytes.Equal(encoded, appendLog(nil, &again, k.at)) {
			t.Fatalf("% x does not encode alike", encoded)
		}
		v, err := viewLog(encoded)
		if err != nil || v.severity != l.Severity || v.trace != l.TraceID || !bytes.Equal(v.body, l.Body) {
			t.Fatalf("view %+v, %v of %+v", v, err, l)
		}
	})
}

func FuzzDecodeSpan(f *testing.F) {
	f.Add(appendSpan(nil, &telemetry.Span{Name: "n", StartUnixNano: 1, EndUnixNano: 2}, &telemetry.Scope{}))
	f.Add(appendSpan(nil, &telemetry.Span{
		Status: telemetry.StatusError, Attrs: []telemetry.Attr{{Key: "k", Value: telemetry.Value{Kind: telemetry.EmptyValue}}}, Raw: []byte{1},
	}, &telemetry.Scope{Name: "s", Attrs: []telemetry.Attr{{Key: "b", Value: telemetry.Value{Kind: telemetry.BytesValue, Str: "\xff"}}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s telemetry.Span
		var scope telemetry.Scope
		if decodeSpan(b, &s, &scope) != nil {
			return
		}
		encoded := appendSpan(nil, &s, &scope)
		var s2 telemetry.Span
		var scope2 telemetry.Scope
		if err := decodeSpan(encoded, &s2, &scope2); err != nil {
			t.Fatalf("% x: %v", encoded, err)
		}
		if !bytes.Equal(encoded, appendSpan(nil, &s2, &scope2)) {
			t.Fatalf("% x does not encode alike", encoded)
		}
	})
}

func FuzzDecodeIdentity(f *testing.F) {
	f.Add(appendIdentity(nil, "", noResource))
	f.Add(appendIdentity(nil, "tenant", podResource("web", "app", 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		tenant, r, err := decodeIdentity(b)
		if err != nil {
			return
		}
		encoded := appendIdentity(nil, tenant, r)
		if _, _, err := decodeIdentity(encoded); err != nil {
			t.Fatalf("% x: %v", encoded, err)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	k := logKey{stream: 1, at: -5, uid: telemetry.UID{9}}
	f.Add(k.append(nil))
	f.Add(sequence{1, 2, 3}.append(nil))
	f.Add(appendTraceKey(nil, telemetry.TraceID{1}, k))
	f.Add(appendSpanKey(nil, &telemetry.Span{StartUnixNano: -1}, 8))
	f.Add((&arrival{received: 1, key: k, trace: telemetry.TraceID{1}}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := parseLogKey(b); err == nil && !bytes.Equal(k.append(nil), b) {
			t.Errorf("log key % x", b)
		}
		if s, err := parseSequence(b); err == nil && !bytes.Equal(s.append(nil), b) {
			t.Errorf("sequence % x", b)
		}
		if k, err := parseTraceKey(b); err == nil && !bytes.Equal(appendTraceKey(nil, telemetry.TraceID(b[1:]), k), b) {
			t.Errorf("trace key % x", b)
		}
		var s telemetry.Span
		if stream, err := parseSpanKey(b, &s); err == nil && !bytes.Equal(appendSpanKey(nil, &s, stream), b) {
			t.Errorf("span key % x", b)
		}
		_, _ = parseArrival(b)
		_, _ = parseStream(b, b)
		_, _ = parseOperation(b, b)
		_, _ = parseMark(b)
	})
}

// TestKeysOrderAsTimes: negative times come first.
func TestKeysOrderAsTimes(t *testing.T) {
	var last []byte
	for _, at := range []int64{-1 << 63, -5, -1, 0, 1, 1 << 40, 1<<63 - 1} {
		b := logKey{stream: 1, at: at}.append(nil)
		if bytes.Compare(last, b) >= 0 {
			t.Errorf("key of %d is not above the one before", at)
		}
		last = b
	}
}

// TestFormatIsFrozen: these bytes are on somebody's disk.
func TestFormatIsFrozen(t *testing.T) {
	l := telemetry.Log{
		ObservedUnixNano: 7, Severity: 9, Stream: telemetry.Stdout, TraceID: telemetry.TraceID{1}, Position: 3, Body: []byte("hi"),
		Attrs: []telemetry.Attr{{Key: "k", Value: telemetry.Int(-1)}},
	}
	want := []byte{hasTrace, 9, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 6, 2, 'h', 'i', 1, 1, 'k', 1, 1}
	if got := appendLog(nil, &l, 5); !bytes.Equal(got, want) {
		t.Errorf("log value\n got % x\nwant % x", got, want)
	}
	key := logKey{stream: 0x0102, at: 5, uid: telemetry.UID{19: 7}}.append(nil)
	wantKey := append([]byte{'L', 0, 0, 0, 0, 0, 0, 1, 2, 0x80, 0, 0, 0, 0, 0, 0, 5}, append(make([]byte, 19), 7)...)
	if !bytes.Equal(key, wantKey) {
		t.Errorf("log key\n got % x\nwant % x", key, wantKey)
	}
	seq := sequence{1, 2, 3}.append(nil)
	if want := []byte{'S', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3}; !bytes.Equal(seq, want) {
		t.Errorf("sequence\n got % x\nwant % x", seq, want)
	}
	span := telemetry.Span{TraceID: telemetry.TraceID{15: 1}, SpanID: telemetry.SpanID{7: 2}, Kind: 3, Status: 2, Name: "pay", StartUnixNano: 4, EndUnixNano: 7}
	spanKey := appendSpanKey(nil, &span, 5)
	index := appendIndexKey(nil, spanKey)
	wantIndex := "I" + "\x00\x00\x00\x00\x00\x00\x00\x05" + "\x80\x00\x00\x00\x00\x00\x00\x04" + strings.Repeat("\x00", 15) + "\x01" + "\x00\x00\x00\x00\x00\x00\x00\x02" + "\x03"
	if string(index) != wantIndex || !bytes.Equal(appendIndexedSpan(nil, index), spanKey) {
		t.Errorf("span index key\n got % x\nwant % x", index, wantIndex)
	}
	if got, want := appendMark(nil, &span), []byte{2, 0xac, 0xf3, 0x97, 0x8d, 6}; !bytes.Equal(got, want) {
		t.Errorf("span mark\n got % x\nwant % x", got, want)
	}
	op := operation{serviceKey: serviceKey{"t", "shop"}, Operation: telemetry.Operation{Name: "pay", Kind: 3}}
	if got, want := string(op.key()), "N\x01t\x04shop\x03\x03pay"; got != want {
		t.Errorf("operation key\n got %q\nwant %q", got, want)
	}
	tenant, r, err := decodeIdentity(appendIdentity(nil, "t", podResource("a", "b", -1)))
	if err != nil || tenant != "t" || !reflect.DeepEqual(r, podResource("a", "b", -1)) {
		t.Errorf("%q, %+v, %v", tenant, r, err)
	}
}
