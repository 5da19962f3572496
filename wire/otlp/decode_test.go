package otlp_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
	"github.com/braidhq/braid/wire/protobuf"
)

// message joins fields; field builds one of bytes.
func message(fields ...[]byte) (m []byte) {
	for _, f := range fields {
		m = append(m, f...)
	}
	return m
}

func field(number int, content ...[]byte) []byte {
	return protobuf.AppendBytes(nil, protobuf.Tag(number<<3|protobuf.Bytes), message(content...))
}

func str(s string) []byte { return field(1, []byte(s)) }

func attr(key string, value []byte) []byte { return message(str(key), field(2, value)) }

// oneLog returns a request with a single record made of fields.
func oneLog(fields ...[]byte) []byte { return field(1, field(2, field(2, fields...))) }

func decodeLogs(t *testing.T, body []byte) []*telemetry.Batch {
	t.Helper()
	batches, err := otlp.NewDecoder().Logs(body)
	if err != nil {
		t.Fatal(err)
	}
	return batches
}

func TestTailedLineComesBack(t *testing.T) {
	id := telemetry.FileID{0xab, 11: 0xcd}
	want := &telemetry.Batch{
		Resource: &telemetry.Resource{
			Cluster: "demo", Node: "n1", Namespace: "shop", Pod: "p", PodUID: "u", Container: "c", ContainerID: "cid",
			Service: "s", ServiceNamespace: "sn", ServiceVersion: "v", ServiceInstance: "i", Restart: 3,
			Attrs: []telemetry.Attr{{Key: "k8s.deployment.name", Value: telemetry.String("d")}},
		},
		Scope:  telemetry.Scope{Name: "braid", Attrs: []telemetry.Attr{}},
		FileID: id, From: 10, To: 1 << 40,
		Logs: []telemetry.Log{
			{
				UnixNano: 1, ObservedUnixNano: 2, Severity: telemetry.SeverityError, Stream: telemetry.Stderr,
				Flags: telemetry.Truncated | telemetry.Partial, TraceID: telemetry.TraceID{15: 1},
				SpanID: telemetry.SpanID{7: 1}, Position: 20, Body: []byte("first"),
				Attrs: []telemetry.Attr{{Key: "a", Value: telemetry.Value{Kind: telemetry.FloatValue, Float: 1.5}}},
			},
			{Stream: telemetry.Stdout, Position: 1 << 40, Body: []byte{}},
			{Position: 30, Body: []byte("not UTF-8: \xff")},
		},
	}
	got := decodeLogs(t, otlp.AppendLogs(nil, []*telemetry.Batch{want}))
	for i := range want.Logs {
		want.Logs[i].UID = telemetry.FileUID(id, want.Logs[i].Position)
		if want.Logs[i].Attrs == nil {
			want.Logs[i].Attrs = []telemetry.Attr{}
		}
	}
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
}

// TestNoBrokenText: receivers that check strings, as most of protobuf's own libraries do, refuse a request with a string
// that is not UTF-8.
func TestNoBrokenText(t *testing.T) {
	const broken = "caf\xe9"
	body := otlp.AppendLogs(nil, []*telemetry.Batch{{
		Resource: &telemetry.Resource{Pod: broken, Restart: -1},
		Logs:     []telemetry.Log{{Body: []byte(broken), Attrs: []telemetry.Attr{{Key: "a", Value: telemetry.String(broken)}}}},
	}})
	theirs, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(body)
	if err != nil {
		t.Fatal(err)
	}
	rl := theirs.ResourceLogs().At(0)
	record := rl.ScopeLogs().At(0).LogRecords().At(0)
	attr, _ := record.Attributes().Get("a")
	pod, _ := rl.Resource().Attributes().Get("k8s.pod.name")
	for _, v := range []pcommon.Value{record.Body(), attr, pod} {
		if v.Type() != pcommon.ValueTypeBytes || string(v.Bytes().AsRaw()) != broken {
			t.Errorf("%s %q", v.Type(), v.AsString())
		}
	}
	if got := decodeLogs(t, body)[0]; got.Resource.Pod != broken || string(got.Logs[0].Body) != broken {
		t.Errorf("decoded %+v", got)
	}
}

func TestBatchesAndResources(t *testing.T) {
	shared := &telemetry.Resource{Pod: "a", Restart: -1}
	one := []telemetry.Log{{Body: []byte("x")}}
	batches := []*telemetry.Batch{
		{Resource: shared, Logs: one, FileID: telemetry.FileID{1}},
		{Resource: shared, Logs: append(one, one...), FileID: telemetry.FileID{2}},
		{Resource: shared},
		{Logs: one},
		{Resource: &telemetry.Resource{Pod: "a", Restart: -1}, Logs: one},
	}
	body := otlp.AppendLogs([]byte("kept"), batches)
	if string(body[:4]) != "kept" {
		t.Fatal("dst was overwritten")
	}
	theirs, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(body[4:])
	if err != nil || theirs.ResourceLogs().Len() != 3 {
		t.Errorf("%d ResourceLogs for 3 runs of a resource, %v", theirs.ResourceLogs().Len(), err)
	}
	d := otlp.NewDecoder()
	got, err := d.Logs(body[4:])
	if err != nil || len(got) != 4 || checkIndexes(t, got) != 5 {
		t.Fatalf("%d batches, %v", len(got), err)
	}
	if got[0].Resource != got[1].Resource || got[0].Resource != got[3].Resource || got[2].Resource.Restart != -1 {
		t.Error("resources were not interned")
	}
	first := got[0].Resource
	for i := range body {
		body[i] = 'x'
	}
	if first.Pod != "a" {
		t.Error("a resource aliases the body")
	}
	if got, err = d.Logs(otlp.AppendLogs(nil, batches)); err != nil || got[0].Resource != first {
		t.Error("a resource was not interned over calls", err)
	}
}

// TestFileAttributes: what braid would not have written is left in the scope.
func TestFileAttributes(t *testing.T) {
	file := func(id string, others ...[]byte) []byte {
		scope := append([][]byte{str("braid"), field(3, attr("braid.file.id", str(id)))}, others...)
		return field(1, field(2, field(1, scope...), field(2)))
	}
	from := field(3, attr("braid.file.from", []byte{3 << 3, 5}))
	to := field(3, attr("braid.file.to", []byte{3 << 3, 9}))
	const good = "0123456789abcdef01234567"
	for name, test := range map[string]struct {
		body []byte
		left int
	}{
		"good":           {file(good, from, to), 0},
		"no to":          {file(good, from), 2},
		"to as text":     {file(good, from, field(3, attr("braid.file.to", str("9")))), 3},
		"twice":          {file(good, from, to, to), 4},
		"short id":       {file(good[1:], from, to), 3},
		"long id":        {file(good+"0", from, to), 3},
		"upper-case id":  {file(strings.ToUpper(good), from, to), 3},
		"id without hex": {file(strings.Repeat("x", 24), from, to), 3},
		"zero id":        {file(strings.Repeat("0", 24), from, to), 3},
	} {
		b := decodeLogs(t, test.body)[0]
		if taken := !b.FileID.IsZero(); len(b.Scope.Attrs) != test.left || taken != (test.left == 0) ||
			taken != (b.From == 5 && b.To == 9) || taken == b.Logs[0].UID.IsZero() {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// TestMergeAsPdata: singular fields that come twice, and fields in an unusual order.
func TestMergeAsPdata(t *testing.T) {
	resource := func(key, value string) []byte { return field(1, field(1, attr(key, str(value)))) }
	for name, body := range map[string][]byte{
		"resource twice": field(1, resource("k8s.pod.name", "a"), field(2, field(2)), resource("x", "y")),
		"scope twice": field(1, field(2, field(1, str("n"), field(3, attr("a", str("b")))), field(2),
			field(1, field(2, []byte("v")), field(3, attr("c", str("d")))))),
		"records before their scope and resource": field(1, field(2, field(2, field(5, str("x"))), field(1, str("n"))),
			resource("a", "b")),
		"body twice":                 oneLog(field(5, str("a")), field(5, str("b"))),
		"body, then an empty one":    oneLog(field(5, str("a")), field(5)),
		"value of two kinds":         oneLog(field(5, str("a"), []byte{3 << 3, 7})),
		"attribute's value twice":    oneLog(field(6, str("k"), field(2, str("a")), field(2, []byte{3 << 3, 7}))),
		"attribute's key twice":      oneLog(field(6, str("k"), field(2, str("a")), str("l"))),
		"attribute's value first":    oneLog(field(6, field(2, str("a")), str("k"))),
		"attribute without value":    oneLog(field(6, str("k"))),
		"attribute's value is empty": oneLog(field(6, str("k"), field(2))),
		"list twice":                 oneLog(field(5, field(5, field(1, str("a"))), field(5, field(1, str("b"))))),
		"map with a value twice":     oneLog(field(5, field(6, field(1, str("k"), field(2, str("a")), field(2))))),
		"severity twice":             oneLog([]byte{2 << 3, 9, 2 << 3, 17}),
		"trace id twice":             oneLog(field(9, make([]byte, 16)), field(9, []byte("0123456789abcdef"))),
		"stream twice":               oneLog(field(6, attr("log.iostream", str("stdout"))), field(6, attr("log.iostream", str("stderr")))),
		"position twice":             oneLog(field(6, attr("log.file.position", []byte{24, 1})), field(6, attr("log.file.position", []byte{24, 2}))),
		"unknown fields":             oneLog(field(99, []byte("x")), []byte{100<<3&0x7f | 0x80, 100 >> 4, 5}, field(5, str("a"))),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(body); err != nil {
				t.Fatal("pdata does not take it:", err)
			}
			if len(decodeLogs(t, body)) != 1 {
				t.Error("no record")
			}
			checkLogs(t, otlp.NewDecoder(), body)
		})
	}
}

func TestRefused(t *testing.T) {
	deep := func(n int) []byte {
		v := str("x")
		for range n {
			v = field(5, field(1, v))
		}
		return oneLog(field(5, v))
	}
	if b := decodeLogs(t, deep(64)); string(b[0].Logs[0].Body) != strings.Repeat("[", 64)+`"x"`+strings.Repeat("]", 64) {
		t.Errorf("64 lists: %s", b[0].Logs[0].Body)
	}

	for name, test := range map[string]struct {
		body []byte
		want error
	}{
		"65 lists":              {deep(65), otlp.ErrTooDeep},
		"100,000 lists":         {deep(2000), otlp.ErrTooDeep},
		"group":                 {oneLog([]byte{20<<3&0x7f | 3 | 0x80, 1, 20<<3&0x7f | 4 | 0x80, 1}), protobuf.ErrTag},
		"time as varint":        {oneLog([]byte{1 << 3, 5}), protobuf.ErrWireType},
		"body as number":        {oneLog([]byte{5 << 3, 5}), protobuf.ErrWireType},
		"record cut":            {field(1, field(2, field(2, []byte{1<<3 | 1, 0}))), protobuf.ErrTruncated},
		"list in a list broken": {oneLog(field(5, field(5, field(1, field(5, []byte{1<<3 | 2, 9}))))), protobuf.ErrTruncated},
		"position with a wrong length": {
			oneLog(field(6, []byte("\x0a\x11log.file.position\x12\x01\x18\x05"))), protobuf.ErrTruncated,
		},
		"overwritten list broken": {
			oneLog(field(5, field(5, []byte{1<<3 | 2, 9}), str("a"))), protobuf.ErrTruncated,
		},
		"two halves of a resource": {
			field(1, field(1, []byte{1<<3 | 2, 3, 1<<3 | 2}), field(1, []byte{1, 'k'})), protobuf.ErrTruncated,
		},
		"too many records": {field(1, field(2, []byte(strings.Repeat("\x12\x00", 1<<21)))), otlp.ErrTooMany},
		"too many attributes": {
			oneLog([]byte(strings.Repeat("\x32\x00", 1<<21))), otlp.ErrTooMany,
		},
	} {
		_, err := otlp.NewDecoder().Logs(test.body)
		_, countErr := otlp.CountLogs(test.body)
		if !errors.Is(err, test.want) || !errors.Is(countErr, test.want) {
			t.Errorf("%s: Decoder %v, CountLogs %v, want %v", name, err, countErr, test.want)
		}
	}
	_, err := otlp.NewDecoder().Spans(field(1, field(2, field(2, field(11, []byte{1 << 3, 5})))))
	if !errors.Is(err, protobuf.ErrWireType) {
		t.Errorf("span with a broken event: %v", err)
	}
}

// TestNeighboursAreNotDeep: many lists beside one another are no nesting.
func TestNeighboursAreNotDeep(t *testing.T) {
	var lists [][]byte
	for range 100 {
		lists = append(lists, field(1, field(5, field(1, field(6)))))
	}
	body := oneLog(field(5, field(5, lists...)), field(6, attr("a", field(5, lists...))))
	if n, err := otlp.CountLogs(body); n != 1 || err != nil {
		t.Errorf("CountLogs: %d, %v", n, err)
	}
	checkLogs(t, otlp.NewDecoder(), body)
}

// TestLenient: what is odd about one record does not fail it.
func TestLenient(t *testing.T) {
	l := decodeLogs(t, oneLog(field(9, []byte("short")), field(10, []byte("longer than eight")), []byte{2 << 3, 99}))[0].Logs[0]
	if !l.TraceID.IsZero() || !l.SpanID.IsZero() || l.Severity != 0 {
		t.Errorf("%+v", l)
	}
	l = decodeLogs(t, oneLog(field(3, []byte("Warning"))))[0].Logs[0]
	if l.Severity != telemetry.SeverityWarn || len(l.Attrs) != 0 {
		t.Errorf("severity from text: %+v", l)
	}
}

func TestBodiesThatAreNoText(t *testing.T) {
	double := func(f float64) []byte { return protobuf.AppendFixed64(nil, 4<<3|protobuf.Fixed64, math.Float64bits(f)) }
	for want, value := range map[string][]byte{
		"bytes\xff": field(7, []byte("bytes\xff")),
		"-1":        protobuf.AppendTagged(nil, 3<<3, math.MaxUint64),
		"true":      {2 << 3, 1},
		"false":     {2 << 3, 0},
		"1.5":       double(1.5),
		"3":         double(3),
		"NaN":       double(math.NaN()),
		`[3.0,"a\"\u0000","/w==",null,{}]`: field(5, field(1, double(3)), field(1, str("a\"\x00")), field(1, field(7, []byte{255})),
			field(1), field(1, field(6))),
		`{"k":[],"k":true}`: field(6, field(1, attr("k", field(5))), field(1, attr("k", []byte{2 << 3, 1}))),
	} {
		if got := decodeLogs(t, oneLog(field(5, value)))[0].Logs[0].Body; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestJSONThatIsNone: a JSONValue that holds no JSON, from whoever made the attribute, is passed on as the text it is.
func TestJSONThatIsNone(t *testing.T) {
	for _, text := range []string{"", "{", `{"a":1} x`, `{"a" 1}`, "[1e999]", strings.Repeat("[", 65) + strings.Repeat("]", 65), "[1,]"} {
		b := &telemetry.Batch{Logs: []telemetry.Log{{Attrs: []telemetry.Attr{
			{Key: "a", Value: telemetry.Value{Kind: telemetry.JSONValue, Str: text}},
			{Key: "b", Value: telemetry.Int(1)},
		}}}}
		got := decodeLogs(t, otlp.AppendLogs(nil, []*telemetry.Batch{b}))[0].Logs[0].Attrs
		if len(got) != 2 || got[0].Value != telemetry.String(text) || got[1].Value != telemetry.Int(1) {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// A batch may be edited in place: what is appended to one slice must not run into its neighbour.
func TestBatchesDoNotOverlap(t *testing.T) {
	record := field(2, field(5, str("x")), field(6, attr("k", str("v"))))
	batches := decodeLogs(t, field(1, field(2, record, record), field(2, record)))
	a := batches[0]
	a.Logs = append(a.Logs, telemetry.Log{Body: []byte("new")})
	a.Logs[0].Attrs = append(a.Logs[0].Attrs, telemetry.Attr{Key: "new"})
	a.Logs[0].Body = append(a.Logs[0].Body, "new"...)
	if got := fmt.Sprint(flatLogs(batches[1:]), a.Logs[1].Attrs[0].Key); strings.Contains(got, "new") {
		t.Error(got)
	}
}
