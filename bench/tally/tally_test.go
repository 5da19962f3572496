package tally

import (
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
)

func TestCheckInAnyOrder(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	var want Truth
	var all []Fingerprint
	for range 1000 {
		f := Fingerprint{r.Uint64(), r.Uint64()}
		all = append(all, f)
		want.Add(f.Content)
	}
	tally := func(change func([]Fingerprint) []Fingerprint) error {
		some := append([]Fingerprint(nil), all...)
		r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		var got Tally
		for _, f := range change(some) {
			got.Add(f)
		}
		return got.Check(want)
	}
	if err := tally(func(f []Fingerprint) []Fingerprint { return f }); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	for name, change := range map[string]func([]Fingerprint) []Fingerprint{
		"lost":              func(f []Fingerprint) []Fingerprint { return f[1:] },
		"repeated":          func(f []Fingerprint) []Fingerprint { return append(f, f[0]) },
		"lost and repeated": func(f []Fingerprint) []Fingerprint { return append(f[1:], f[1]) },
		"changed":           func(f []Fingerprint) []Fingerprint { f[7].Content++; return f },
		"replaced":          func(f []Fingerprint) []Fingerprint { f[7] = Fingerprint{1, 2}; return f },
	} {
		if tally(change) == nil {
			t.Errorf("seed %d: a record is %s and nobody says so", seed, name)
		}
	}
}

// What belongs to a record changes its fingerprint, and what each system adds does not.
func TestFingerprints(t *testing.T) {
	line := func(uid string, l telemetry.Log) Fingerprint { return Line(uid, &l) }
	base := telemetry.Log{UnixNano: 5, Stream: telemetry.Stdout, Body: []byte("x")}
	for _, other := range []Fingerprint{
		line("b", base), line("a", telemetry.Log{UnixNano: 6, Stream: telemetry.Stdout, Body: []byte("x")}),
		line("a", telemetry.Log{UnixNano: 5, Stream: telemetry.Stderr, Body: []byte("x")}),
		line("a", telemetry.Log{UnixNano: 5, Stream: telemetry.Stdout, Body: []byte("y")}),
	} {
		if line("a", base).Content == other.Content {
			t.Error("two different lines have one fingerprint")
		}
	}
	richer := base
	richer.Severity, richer.Position, richer.Attrs = telemetry.SeverityInfo, 7, []telemetry.Attr{{Key: "k"}}
	if line("a", base) != line("a", richer) {
		t.Error("what was added to a line changes its fingerprint")
	}
	series := func(pairs ...string) uint64 { return Series(labels.FromStrings(pairs...)) }
	if series("a", "1", "b", "2") == series("a", "2", "b", "1") || series("a", "1") == series("a", "1", "b", "2") {
		t.Error("two different series have one hash")
	}
	if series("a", "1") != series("a", "1", "job", "x", "otel_scope_name", "y") {
		t.Error("who scraped changes a series' hash")
	}
	if Sample(1, 5, 2).Content == Sample(1, 5, 3).Content || Sample(1, 5, 2).ID == Sample(1, 6, 2).ID || Sample(1, 5, 2).Content != Sample(1, 6, 2).Content {
		t.Error("a sample's content is its series and value, its id its series and time")
	}
}
