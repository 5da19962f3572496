package traces

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/telemetry"
)

// counts are all counts of r, to be compared.
func counts(r *RED) map[string]string {
	all := map[string]string{}
	for key, s := range r.series {
		all[key] = string(s.latency.append([]byte{byte(s.start), byte(s.received), byte(s.start >> 40), byte(s.received >> 40)}, &r.shape))
	}
	for key, x := range r.targets.known {
		all["target "+key] = string([]byte{byte(x.received), byte(x.received >> 40)})
	}
	return all
}

func TestSnapshotRestore(t *testing.T) {
	for _, kind := range []Histograms{Native, Classic, Both} {
		o := Options{Histograms: kind, Dimensions: []string{"http.route"}}
		r := NewRED(o)
		r.Observe(spans("shop", time.Minute, "GET /", "GET /"), false)
		other := spans("shop", time.Hour, "GET /")
		other.Spans[0].Kind, other.Spans[0].Status = telemetry.SpanKindClient, telemetry.StatusError
		r.Observe(other, false)
		restored := NewRED(o)
		restored.Observe(spans("to be replaced", 0, "x"), false)
		if err := restored.Restore(r.AppendSnapshot(nil)); err != nil {
			t.Fatal(err)
		}
		expect(t, restored, strings.ReplaceAll(threeCalls, "{", `{http_route="",`), "traces_spanmetrics_calls_total")
		if restored.swept != r.swept || !maps.Equal(counts(restored), counts(r)) {
			t.Errorf("%q, want %q", counts(restored), counts(r))
		}
		// Going on from a snapshot is going on.
		r.Observe(other, false)
		restored.Observe(other, true)
		restored.Observe(other, false)
		if !maps.Equal(counts(restored), counts(r)) {
			t.Errorf("%q, want %q", counts(restored), counts(r))
		}
		if err := restored.Restore(nil); err != nil || len(restored.series) != 0 {
			t.Errorf("%v, %v", restored.series, err)
		}
	}
}

// TestOtherOptionsBeginAnew: what was counted under other labels or buckets cannot go on, and is no error.
func TestOtherOptionsBeginAnew(t *testing.T) {
	r := NewRED(Options{})
	r.Observe(spans("shop", 0, "a"), false)
	for _, o := range []Options{{Histograms: Both}, {Dimensions: []string{"x"}}, {Histograms: Classic, Buckets: []float64{1}}} {
		other := NewRED(o)
		if err := other.Restore(r.AppendSnapshot(nil)); err != nil || len(other.series) != 0 {
			t.Errorf("%v, %d series", err, len(other.series))
		}
		if len(other.targets.known) != 1 {
			t.Error("targets went too")
		}
	}
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	r := NewRED(Options{Histograms: Both})
	r.Observe(spans("shop", 0, "a", "b"), false)
	good := r.AppendSnapshot(nil)
	for n := 1; n < len(good); n++ {
		if err := r.Restore(good[:n]); !errors.Is(err, ErrSnapshot) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	newer := append([]byte{snapshotVersion + 1}, good[1:]...)
	if err := r.Restore(newer); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("got %v", err)
	}
	if len(r.series) != 2 {
		t.Error("a refused snapshot changed the counts")
	}
}

// TestCrashesChangeNothing: with series that overflow, idle and come back, and crashes at random points, counts and
// starts are those of a run without a crash.
func TestCrashesChangeNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	o := Options{MaxSeries: 20, Idle: 100 * time.Second}
	var all []*telemetry.Batch
	for i := range 3000 {
		b := spans(fmt.Sprint("s", r.IntN(4)), time.Duration(i)*time.Second, fmt.Sprint(i/500, "/", r.IntN(10)), fmt.Sprint(r.IntN(3)))
		b.Spans[0].Kind, b.Spans[0].EndUnixNano = telemetry.SpanKind(r.IntN(7)), r.Int64N(1e10)
		all = append(all, b)
	}
	want := NewRED(o)
	for _, b := range all {
		want.Observe(b, false)
	}
	got := NewRED(o)
	stored, committed, crashes := got.AppendSnapshot(nil), 0, 0
	for i := 0; i < len(all); i++ {
		got.Observe(all[i], false)
		switch {
		case r.IntN(20) == 0:
			stored, committed = got.AppendSnapshot(nil), i+1
		case r.IntN(100) == 0 && crashes < 30:
			crashes++
			got = NewRED(o)
			if err := got.Restore(stored); err != nil {
				t.Fatal(err)
			}
			i = committed - 1
		}
	}
	if !maps.Equal(counts(got), counts(want)) || got.swept != want.swept ||
		count64(t, want.self.overflow) == 0 || count64(t, want.self.expired) == 0 {
		t.Errorf("%d series, want %d, after %d crashes", len(got.series), len(want.series), crashes)
	}
}

// TestVersion1GoesOn restores what the version before wrote: three spans of 3, 6 and 0 ms in two series.
func TestVersion1GoesOn(t *testing.T) {
	old, err := os.ReadFile("testdata/snapshot.v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []Histograms{Native, Classic, Both} {
		r := NewRED(Options{Histograms: kind})
		if err := r.Restore(old); err != nil {
			t.Fatal(err)
		}
		expect(t, r, threeCalls, "traces_spanmetrics_calls_total")
		if kind == Classic {
			expect(t, r, `
# HELP traces_spanmetrics_latency Duration of spans in seconds.
# TYPE traces_spanmetrics_latency histogram
`+latencyRows("SPAN_KIND_CLIENT", "STATUS_CODE_ERROR", 1, 1, 0)+latencyRows("SPAN_KIND_SERVER", "STATUS_CODE_UNSET", 0, 2, 0.009),
				"traces_spanmetrics_latency")
			continue
		}
		h := r.series[keyOf("shop", "GET /")].latency
		if err := h.native().Validate(); err != nil || h.sum.seconds() != .009 || h.populated != 2 {
			t.Errorf("%v, %+v", err, h)
		}
	}
	r := NewRED(Options{Dimensions: []string{"x"}})
	if err := r.Restore(old); err != nil || len(r.series) != 0 {
		t.Errorf("%v, %d series", err, len(r.series))
	}
	for n := 1; n < len(old); n++ {
		if err := r.Restore(old[:n]); !errors.Is(err, ErrSnapshot) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

func FuzzRestore(f *testing.F) {
	for _, kind := range []Histograms{Native, Classic, Both} {
		r := NewRED(Options{Histograms: kind})
		f.Add(r.AppendSnapshot(nil))
		r.Observe(spans("shop", 1, "a", "b"), false)
		f.Add(r.AppendSnapshot(nil))
	}
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		for _, kind := range []Histograms{Native, Classic, Both} {
			r, again := NewRED(Options{Histograms: kind}), NewRED(Options{Histograms: kind})
			if r.Restore(snapshot) != nil {
				return
			}
			if err := again.Restore(r.AppendSnapshot(nil)); err != nil || !maps.Equal(counts(again), counts(r)) {
				t.Fatalf("%q instead of %q, %v", counts(again), counts(r), err)
			}
			prometheus.NewPedanticRegistry().MustRegister(r)
			testutil.CollectAndCount(r)
			for _, s := range r.Samples(1, nil) {
				if s.Histogram != nil {
					if err := s.Histogram.Validate(); err != nil {
						t.Fatal(err)
					}
				}
			}
			r.Observe(spans("shop", 1, "a", "b"), false)
		}
	})
}

func TestKeysAreReadBack(t *testing.T) {
	want := []string{"", "a", strings.Repeat("é", maxLabelBytes/2), ""}
	var key []byte
	for _, v := range want {
		key = appendValue(key, v)
	}
	if got := values(string(key), 4); !slices.Equal(got, want) || !isKey(string(key), 4) {
		t.Errorf("got %q", got)
	}
	for _, n := range []int{0, 3, 5} {
		if isKey(string(key), n) {
			t.Errorf("is a key of %d", n)
		}
	}
	if got := reflect.TypeFor[candidate]().Size(); got > 40 {
		t.Errorf("a candidate has %d bytes", got)
	}
}
