package correlate

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// A verifier is an Exemplars behind a decider, with a hand on how far that has come.
type verifier struct {
	*Exemplars
	t       *testing.T
	d       *Decider
	reg     *prometheus.Registry
	decided time.Duration
}

func newVerifier(t *testing.T, max int) *verifier {
	v := &verifier{t: t, d: newDecider(t, disk.NewMem(), rules(t, Rule{Name: "error", Kind: RuleError})), reg: prometheus.NewPedanticRegistry()}
	v.Exemplars = NewExemplars(ExemplarsOptions{
		Registerer: v.reg, Kept: v.d.verdicts.KeptLine, Dropped: v.d.Dropped, Wait: testWait, Late: testLate, Decided: func() int64 { return int64(v.decided) }, MaxHeld: max,
	})
	return v
}

// scrape sends one sample of series with exemplars (trace ids, or texts for them) and returns those that come out.
func (v *verifier) scrape(at time.Duration, series string, exemplars ...any) (out []string) {
	s := telemetry.Sample{Series: &telemetry.Series{Labels: labels.FromStrings("__name__", series)}, UnixMilli: int64(at / time.Millisecond)}
	for i, x := range exemplars {
		s.Exemplars = append(s.Exemplars, exemplar.Exemplar{
			Labels: labels.FromStrings("trace_id", fmt.Sprint(x)), Value: float64(i), Ts: s.UnixMilli + int64(i), HasTs: true,
		})
	}
	return v.stage(at, s)
}

func (v *verifier) stage(at time.Duration, s telemetry.Sample) (out []string) {
	b := &telemetry.Batch{Samples: []telemetry.Sample{s}, ReceivedUnixNano: int64(at)}
	v.Stage(b)
	for _, x := range b.Samples[0].Exemplars {
		out = append(out, x.Labels.Get("trace_id"))
	}
	return out
}

func (v *verifier) want(got []string, ids ...any) {
	v.t.Helper()
	var want []string
	for _, id := range ids {
		want = append(want, fmt.Sprint(id))
	}
	if !slices.Equal(got, want) {
		v.t.Errorf("got the exemplars %q, want %q", got, want)
	}
}

// outcomes are those that were counted.
func (v *verifier) outcomes() map[string]int {
	counted := map[string]int{}
	families, err := v.reg.Gather()
	if err != nil {
		v.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			switch {
			case f.GetName() == "braid_correlate_exemplars_held":
				counted["held"] = int(m.GetGauge().GetValue())
			case m.GetCounter().GetValue() > 0:
				counted[m.Label[0].GetValue()] = int(m.GetCounter().GetValue())
			}
		}
	}
	return counted
}

func (v *verifier) counted(want map[string]int) {
	v.t.Helper()
	got := v.outcomes()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		v.t.Errorf("counted %v, want %v", got, want)
	}
}

func TestAnExemplarRidesOnALaterSampleOnceItsTraceIsKept(t *testing.T) {
	v := newVerifier(t, 0)
	a, b, c := traceID(1), traceID(2), traceID(3)
	v.decided = 995 * second
	v.want(v.scrape(1000*second, "x", a, b, c)) // the sample goes, they wait
	v.d.take(t, errorBatch(1001*second, a))     // kept
	v.d.take(t, spanBatch(1001*second, b))      // dropped; c stays unknown
	v.decided = 1002 * second
	v.want(v.scrape(1005*second, "y")) // another series
	v.want(v.scrape(1005*second, "x"), a)
	v.counted(map[string]int{"kept": 1, "dropped": 1, "held": 1})
	v.decided = 1010 * second
	v.want(v.scrape(1011*second, "x"))
	v.counted(map[string]int{"kept": 1, "dropped": 1, "unknown": 1, "held": 0})
	v.want(v.scrape(1012*second, "x", a, b), a) // decided: no reason to wait
	v.counted(map[string]int{"kept": 2, "dropped": 2, "unknown": 1, "held": 0})
}

// Stores refuse what is older than the newest exemplar of its series.
func TestExemplarsOfASeriesStayInOrder(t *testing.T) {
	v := newVerifier(t, 0)
	v.d.take(t, errorBatch(1000*second, traceID(1), traceID(3)))
	v.decided = 999 * second
	v.want(v.scrape(1000*second, "x", traceID(1), traceID(2), traceID(3)), traceID(1)) // the third waits behind the second
	v.want(v.scrape(1001*second, "x", traceID(1)))
	v.d.take(t, errorBatch(1002*second, traceID(2)))
	v.want(v.scrape(1003*second, "x"), traceID(2), traceID(3), traceID(1))
	v.counted(map[string]int{"kept": 4, "held": 0})
}

func TestExemplarsThatCannotBeVerified(t *testing.T) {
	v := newVerifier(t, 2)
	v.d.take(t, errorBatch(1000*second, traceID(1)))
	v.decided = 1000 * second
	v.want(v.scrape(1001*second, "x", "not hexadecimal", telemetry.TraceID{}, "", traceID(1)), "", traceID(1))
	v.counted(map[string]int{"invalid": 2, "unlinked": 1, "kept": 1, "held": 0})

	v.want(v.scrape(1001*second, "x", traceID(5), traceID(6), traceID(7))) // two have room
	v.counted(map[string]int{"invalid": 2, "unlinked": 1, "kept": 1, "overflow": 1, "held": 2})
}

func TestWhatIsScrapedAgainAndAgainIsHeldOnce(t *testing.T) {
	v := newVerifier(t, 0)
	v.decided = 999 * second
	same := exemplar.Exemplar{Labels: labels.FromStrings("traceID", traceID(1).String()), Value: 1, Ts: 1_000_000, HasTs: true}
	sample := func(at time.Duration) []string {
		return v.stage(at, telemetry.Sample{Series: &telemetry.Series{Labels: labels.FromStrings("__name__", "x")}, Exemplars: []exemplar.Exemplar{same}})
	}
	for i := range 3 {
		v.want(sample(1000*second + time.Duration(i)*second))
	}
	v.counted(map[string]int{"repeated": 2, "held": 1})
	v.decided = 1075 * second
	v.want(sample(1075 * second)) // the trace was never seen
	v.counted(map[string]int{"repeated": 3, "unknown": 1, "held": 0})
	v.want(sample(1076 * second))
	v.counted(map[string]int{"repeated": 3, "unknown": 1, "expired": 1, "held": 0})
}

func TestAStaleMarkerCarriesNoExemplar(t *testing.T) {
	v := newVerifier(t, 0)
	v.decided = 999 * second
	v.want(v.scrape(1000*second, "x", traceID(1)))
	v.d.take(t, errorBatch(1000*second, traceID(1)))
	v.want(v.stage(1001*second, telemetry.Sample{
		Series: &telemetry.Series{Labels: labels.FromStrings("__name__", "x")}, Value: math.Float64frombits(value.StaleNaN),
	}))
	v.want(v.scrape(1002*second, "x"), traceID(1))
}

func TestExemplarsOfASeriesThatEndsAreLetGo(t *testing.T) {
	v := newVerifier(t, 0)
	v.decided = 999 * second
	v.want(v.scrape(1000*second, "x", traceID(1)))
	v.want(v.scrape(1000*second+v.Hold()+2*second, "y"))
	v.counted(map[string]int{"unattached": 1, "held": 0})
}

// After a crash the frames that the cursor holds are replayed: what may have waited waits again.
func TestWhatWaitedIsTakenInByReplay(t *testing.T) {
	v := newVerifier(t, 0)
	v.decided = math.MinInt64
	b := exemplarBatch(1000*second, traceID(1).String())
	for i := range b.Samples {
		b.Samples[i].Series = &telemetry.Series{Labels: labels.FromStrings("__name__", fmt.Sprint(i))}
	}
	v.Observe(b, false) // that goes through the stage
	v.counted(map[string]int{"held": 0})
	v.Observe(b, true)
	v.counted(map[string]int{"held": 1})
	v.d.take(t, errorBatch(1001*second, traceID(1)))
	v.decided = 1002 * second
	next := *b
	next.Samples = slices.Clone(b.Samples)
	next.Samples[1].Exemplars = nil
	next.ReceivedUnixNano += int64(5 * second)
	v.Stage(&next)
	if n := len(next.Samples[1].Exemplars); n != 1 {
		t.Errorf("%d exemplars", n)
	}
	if err := v.Restore(v.AppendSnapshot(nil)); err != nil {
		t.Error(err)
	}
}

func TestVerifyingDoesNotAllocate(t *testing.T) {
	v := newVerifier(t, 0)
	v.d.take(t, errorBatch(1000*second, traceID(1)))
	v.decided = 999 * second
	v.want(v.scrape(1000*second, "waits", traceID(9)))
	x := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", traceID(1).String())}
	b := &telemetry.Batch{ReceivedUnixNano: int64(1000 * second)}
	for i := range 10 {
		b.Samples = append(b.Samples, telemetry.Sample{Series: &telemetry.Series{Labels: labels.FromStrings("__name__", fmt.Sprint("s", i))}})
	}
	room := make([]exemplar.Exemplar, 1)
	if n := testing.AllocsPerRun(100, func() {
		room[0] = x
		b.Samples[3].Exemplars = room
		v.Stage(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
