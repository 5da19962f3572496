package otlp_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

// What is asked for: nothing, the empty key, and keys that share their lengths with others.
var sets = [][]string{{}, {""}, {"a", "http.method", "ключ", longerKey}, {"braid.flags", longKey, "service.name", "nobody has it"}}

// askers are decoders of one family that live on from body to body: whole reads everything, the others what a set asks for.
type askers struct {
	whole          *otlp.Decoder
	only, trusting []*otlp.Decoder // one for each of sets
}

func newAskers() *askers {
	a := &askers{whole: otlp.NewDecoder()}
	for _, set := range sets {
		only := a.whole.Fork()
		only.Only(telemetry.NewAttributes(set...))
		trusting := only.Fork() // takes over what it is forked from was told
		trusting.Trust()
		a.only, a.trusting = append(a.only, only), append(a.trusting, trusting)
	}
	return a
}

// check holds the askers to one another: all take and refuse the same bodies as CountSpans, and read the same of them but for
// the attributes nobody asked for.
func (a *askers) check(t *testing.T, body []byte) {
	t.Helper()
	batches, err := a.whole.Spans(body)
	n, countErr := otlp.CountSpans(body)
	if (err == nil) != (countErr == nil) {
		t.Errorf("Decoder says %v, CountSpans says %v", err, countErr)
	}
	if err == nil && n != checkIndexes(t, batches) {
		t.Errorf("CountSpans counts %d spans, Decoder has another number", n)
	}
	for i, set := range sets {
		want := spanTexts(batches, 0, func(key string) bool { return slices.Contains(set, key) })
		got, onlyErr := a.only[i].Spans(body)
		if fmt.Sprint(onlyErr) != fmt.Sprint(err) {
			t.Errorf("only %q: %v, without: %v", set, onlyErr, err)
		}
		compare(t, fmt.Sprintf("only %q", set), want, spanTexts(got, 0, all))
		if err != nil {
			continue
		}
		got, err := a.trusting[i].Spans(body)
		if err != nil {
			t.Errorf("trusting, only %q: %v", set, err)
		}
		compare(t, fmt.Sprintf("trusting, only %q", set), want, spanTexts(got, 0, all))
	}
}

// detour is a field in front of a span that no short cut takes: all of the span goes the general way.
var detour = field(99, []byte("x"))

// checkWalks compares what is said of spans with what the general walk says of them.
func (a *askers) checkWalks(t *testing.T, spans ...[]byte) {
	t.Helper()
	var around [][]byte
	for _, span := range spans {
		around = append(around, message(detour, span))
	}
	short, general := oneScope(spans...), oneScope(around...)
	a.check(t, short)
	_, shortErr := otlp.CountSpans(short)
	_, generalErr := otlp.CountSpans(general)
	if (shortErr == nil) != (generalErr == nil) {
		t.Errorf("CountSpans says %v by a short cut, %v by the general walk", shortErr, generalErr)
	}
	for _, d := range append([]*otlp.Decoder{a.whole}, a.only...) {
		got, err := d.Spans(short)
		texts := spanTexts(got, 0, all)
		got, generalErr := d.Spans(general)
		if (err == nil) != (generalErr == nil) {
			t.Errorf("Decoder says %v by a short cut, %v by the general walk", err, generalErr)
		}
		compare(t, "by a short cut and by the general walk", texts, spanTexts(got, len(detour), all))
	}
}

func all(string) bool { return true }

// oneScope returns a request with spans, in one scope of one resource.
func oneScope(spans ...[]byte) []byte {
	scope := [][]byte{field(1, str("lib"), field(3, attr("b", str("of the scope"))))}
	for _, span := range spans {
		scope = append(scope, field(2, span))
	}
	return field(1, field(1, field(1, attr("b", str("of the resource")))), field(2, scope...))
}

// spanTexts renders everything that is said of each span, with the attributes to keep, in order; of Raw what is behind head.
func spanTexts(batches []*telemetry.Batch, head int, keep func(key string) bool) (texts []string) {
	for _, b := range batches {
		scope := flatScope(b)
		for _, s := range b.Spans {
			raw, attrs := s.Raw[head:], flatAttrs(slices.DeleteFunc(slices.Clone(s.Attrs), func(a telemetry.Attr) bool { return !keep(a.Key) }))
			s.Raw, s.Attrs = nil, nil
			texts = append(texts, fmt.Sprintf("%d %s %+v %q %q", b.FirstIndex, scope, s, []string(attrs), raw))
		}
	}
	return texts
}

func tracesBody(t testing.TB, seed uint64) []byte {
	t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(newGenerator(seed).traces()).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestOnlyLeavesOutAttributesAlone: whichever way fields are ordered: pdata writes the last first, AppendSpans the first.
func TestOnlyLeavesOutAttributesAlone(t *testing.T) {
	a := newAskers()
	for seed := range uint64(seeds / 2) {
		g, body := newGenerator(seed), tracesBody(t, seed)
		a.check(t, body)
		a.check(t, g.damaged(body))
		batches, err := otlp.NewDecoder().Spans(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			for i := range b.Spans {
				b.Spans[i].Raw = nil
			}
		}
		body = otlp.AppendSpans(nil, batches)
		a.check(t, body)
		a.check(t, g.damaged(body))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestShortCutsSayWhatPdataAndTheGeneralWalkSay(t *testing.T) {
	a := newAskers()
	for seed := range uint64(2 * seeds) {
		spans := newGenerator(seed).rawSpans()
		if _, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(oneScope(spans...)); err != nil {
			t.Fatalf("seed %d: pdata does not take it: %v", seed, err)
		}
		checkSpans(t, a.whole, oneScope(spans...))
		a.checkWalks(t, spans...)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestShortCutsRefuseWhatTheGeneralWalkRefuses(t *testing.T) {
	a := newAskers()
	refused := 0
	for seed := range uint64(5 * seeds) {
		g := newGenerator(seed)
		spans := g.rawSpans()
		i := g.IntN(len(spans))
		spans[i] = g.damaged(spans[i])
		a.checkWalks(t, spans...)
		if t.Failed() {
			t.Fatalf("seed %d: %x", seed, spans[i])
		}
		if _, err := otlp.CountSpans(oneScope(spans...)); err != nil {
			refused++
		}
	}
	if refused < seeds || refused > 4*seeds {
		t.Errorf("%d of %d are refused: damage is too light or too heavy", refused, 5*seeds)
	}
}

// TestSpansEndAtTheirEnd: each field in turn is the last one, and cut at every byte.
func TestSpansEndAtTheirEnd(t *testing.T) {
	a := newAskers()
	for _, last := range [][]byte{
		field(1, make([]byte, 16)), field(3, []byte("a=b")), field(5, make([]byte, 200)), {6 << 3, 2}, {6 << 3, 0x80, 0},
		{7<<3 | 1, 1, 2, 3, 4, 5, 6, 7, 8}, {8<<3 | 1, 1, 2, 3, 4, 5, 6, 7, 8}, {0x85, 1, 1, 2, 3, 4}, field(15, field(2, []byte("boom")), []byte{3 << 3, 2}),
		field(9, attr("a", str("text"))), field(9, attr("a", []byte{3 << 3, 0x96, 1})), field(9, field(2, str("text")), str("b")),
		field(9, attr(longKey, str(strings.Repeat("x", 60)))), field(9, attr("a", field(5, field(1, str("x"))))),
		field(11, field(2, []byte("event"))), field(13, field(1, make([]byte, 16))),
	} {
		for n := range len(last) + 1 {
			a.checkWalks(t, message(field(2, make([]byte, 8)), last[:n]), field(5, []byte("a neighbour")))
			a.checkWalks(t, message(last, last[:n]))
			if t.Failed() {
				t.Fatalf("%x", last[:n])
			}
		}
	}
}

// TestLeftOutIsCheckedAllTheSame: nobody asks for the attribute that is broken, wherever in it that is.
func TestLeftOutIsCheckedAllTheSame(t *testing.T) {
	for name, broken := range map[string][]byte{
		"value cut":           field(9, str("k"), field(2, []byte{1<<3 | 2, 5, 'x'})),
		"key cut":             field(9, []byte{1<<3 | 2, 5, 'x'}),
		"integer cut":         field(9, attr("k", []byte{3 << 3, 0x80})),
		"integer of 65 bits":  field(9, attr("k", []byte{3 << 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2})),
		"value as number":     field(9, str("k"), []byte{2 << 3, 1}),
		"list broken":         field(9, attr("k", field(5, field(1, []byte{1<<3 | 2, 9})))),
		"long value, no end":  field(9, str("k"), field(2, []byte{1<<3 | 2, 0xff, 0x7f}, make([]byte, 300))),
		"more behind a value": field(9, attr("k", message(str("x"), []byte{1<<3 | 2}))),
		"event broken":        field(11, []byte{1 << 3, 5}),
		"link broken":         field(13, field(1, make([]byte, 16)), []byte{4<<3 | 2, 9}),
	} {
		body := oneScope(message(field(5, []byte("name")), broken))
		for _, set := range sets {
			d := otlp.NewDecoder()
			d.Only(telemetry.NewAttributes(set...))
			if _, err := d.Spans(body); err == nil {
				t.Errorf("%s: taken with only %q", name, set)
			}
		}
		if _, err := otlp.CountSpans(body); err == nil {
			t.Errorf("%s: CountSpans takes it", name)
		}
	}
}

// TestAttributesThatAreLeftOutCount: the bound of a body is the same whoever asks, by a short cut and by the general walk.
func TestAttributesThatAreLeftOutCount(t *testing.T) {
	const most = 1<<21 - 2 // with a scope and a span
	for form, one := range map[string][]byte{
		"strings": field(9, attr("", str(""))), "integers": field(9, attr("", []byte{3 << 3, 1})), "empty": field(9),
	} {
		attrs := bytes.Repeat(one, most+1)
		fits, over := field(1, field(2, field(2, attrs[:most*len(one)]))), field(1, field(2, field(2, attrs)))
		only := otlp.NewDecoder()
		only.Only(telemetry.NewAttributes("b"))
		if _, err := only.Spans(fits); err != nil {
			t.Errorf("%s: %v", form, err)
		}
		if _, err := only.Spans(over); !errors.Is(err, otlp.ErrTooMany) {
			t.Errorf("%s: one too many: %v", form, err)
		}
		if _, err := otlp.CountSpans(fits); err != nil {
			t.Errorf("%s: CountSpans: %v", form, err)
		}
		if _, err := otlp.CountSpans(over); !errors.Is(err, otlp.ErrTooMany) {
			t.Errorf("%s: one too many: CountSpans: %v", form, err)
		}
		// At the event the short cut gives up, and what it has counted counts once.
		late := field(1, field(2, field(2, attrs[:most*len(one)], field(11))))
		if _, err := only.Spans(late); err != nil {
			t.Errorf("%s, and an event: %v", form, err)
		}
	}
	over := field(1, field(2, field(2, bytes.Repeat(field(9, attr("", str(""))), most+1))))
	if _, err := otlp.NewDecoder().Spans(over); !errors.Is(err, otlp.ErrTooMany) {
		t.Errorf("all asked for: %v", err)
	}
}

// TestKeysAreShared: what is asked for comes with the asker's key, so that comparing the two reads no bytes.
func TestKeysAreShared(t *testing.T) {
	set := telemetry.NewAttributes("a", longKey)
	d := otlp.NewDecoder()
	d.Only(set)
	for _, value := range [][]byte{str("x"), {3 << 3, 5}, {2 << 3, 1}} {
		batches, err := d.Spans(oneScope(message(field(9, attr("a", value)), field(9, attr("b", value)), field(9, attr(longKey, value)))))
		if err != nil {
			t.Fatal(err)
		}
		attrs := batches[0].Spans[0].Attrs
		if len(attrs) != 2 {
			t.Fatalf("%+v", attrs)
		}
		for _, a := range attrs {
			if known, ok := set.Find(a.Key); !ok || !sameString(known, a.Key) {
				t.Errorf("key %q is the body's", a.Key)
			}
		}
	}
}

func sameString(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b)
}

func TestForksShareResources(t *testing.T) {
	first := otlp.NewDecoder()
	second := first.Fork()
	third := second.Fork()
	other := otlp.NewDecoder()
	for seed := range uint64(50) {
		body := tracesBody(t, seed)
		a, err := second.Spans(body)
		if err != nil {
			t.Fatal(err)
		}
		for name, d := range map[string]*otlp.Decoder{"the first": first, "a fork's fork": third, "a stranger": other} {
			b, err := d.Spans(body)
			if err != nil {
				t.Fatal(err)
			}
			for i := range a {
				if shared := a[i].Resource == b[i].Resource; shared != (d != other) {
					t.Errorf("seed %d: %s shares the resource: %v", seed, name, shared)
				}
			}
		}
	}
}

// TestForksAreUsedSideBySide is for the race detector, and sees that no fork reads with another's memory.
func TestForksAreUsedSideBySide(t *testing.T) {
	const bodies, forks = 40, 4
	var sent [bodies][]byte
	var want [bodies][]string
	for i := range sent {
		sent[i] = tracesBody(t, uint64(i))
		batches, err := otlp.NewDecoder().Spans(sent[i])
		if err != nil {
			t.Fatal(err)
		}
		want[i] = spanTexts(batches, 0, all)
	}
	first := otlp.NewDecoder()
	var wg sync.WaitGroup
	for n := range forks {
		d := first
		if n > 0 {
			d = first.Fork()
		}
		wg.Go(func() {
			for i := range 3 * bodies {
				i = (i + n*7) % bodies
				batches, err := d.Spans(sent[i])
				if err != nil {
					t.Error(err)
				}
				compare(t, fmt.Sprintf("body %d, fork %d", i, n), want[i], spanTexts(batches, 0, all))
			}
		})
	}
	wg.Wait()
}

// TestAskersAllocateNothing: neither by a short cut nor by the general walk, whatever is left out.
func TestAskersAllocateNothing(t *testing.T) {
	var rich []byte // requests joined are one request
	for seed := range uint64(20) {
		rich = append(rich, tracesBody(t, seed)...)
		rich = append(rich, oneScope(newGenerator(seed).rawSpans()...)...)
	}
	for name, body := range map[string][]byte{"usual spans": spanBody(t), "rich spans": rich} {
		for _, set := range append(sets, []string{"http.request.method", "http.response.status_code"}) {
			for _, trust := range []bool{false, true} {
				d := otlp.NewDecoder()
				d.Only(telemetry.NewAttributes(set...))
				if trust {
					d.Trust()
				}
				if n := testing.AllocsPerRun(20, func() {
					if _, err := d.Spans(body); err != nil {
						t.Fatal(err)
					}
				}); n != 0 {
					t.Errorf("%s, only %q, trusting %v: %v allocations a call", name, set, trust, n)
				}
			}
		}
	}
}
