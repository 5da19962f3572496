package correlate

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

// A forgetful is a seen that looks each span up.
type forgetful struct{ seen }

func (f *forgetful) span(id telemetry.TraceID, received int64) (t int64, begins, again bool) {
	return f.look(id, received)
}

// What was looked up last is only remembered: every span belongs to the same trace as without, and the same traces are odd.
func TestWhatIsRememberedDecidesNothing(t *testing.T) {
	type span struct {
		id telemetry.TraceID
		at int64
	}
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 0))
		part := 1 + rng.Int64N(1000)
		life := part * (1 + rng.Int64N(12))
		with, without := seen{life: life, part: part}, forgetful{seen{life: life, part: part}}
		step := []int64{part / 8, part, life}[rng.IntN(3)] + 2
		at, spans := int64(1e6), []span(nil)
		take := func(s span) {
			t1, begins1, again1 := with.span(s.id, s.at)
			t2, begins2, again2 := without.span(s.id, s.at)
			if t1 != t2 || begins1 != begins2 || again1 != again2 {
				t.Fatalf("seed %d: a span of %d: trace of %d (%v, %v), not of %d (%v, %v)", seed, s.at, t1, begins1, again1, t2, begins2, again2)
			}
		}
		for i := range 1000 {
			at += rng.Int64N(step)
			id := telemetry.TraceID{byte(rng.ExpFloat64() * 4)}
			id[15] = byte(1 + rng.IntN(3)) // many share what they are remembered by
			switch rng.IntN(60) {
			case 0:
				with.expire(at)
				without.expire(at)
			case 1: // a restart
				b := with.append(nil)
				if rng.IntN(2) == 0 {
					with, without = seen{life: life, part: part}, forgetful{seen{life: life, part: part}}
				}
				in := decoder{b: b}
				with.read(&in)
				again := decoder{b: b}
				without.read(&again)
				if in.bad || again.bad {
					t.Fatal("the snapshot cannot be read")
				}
				for _, s := range spans {
					if s.at >= at-with.hold() {
						take(s)
					}
				}
			}
			s := span{id, at - rng.Int64N(part)/4} // nearly in order
			spans = append(spans, s)
			take(s)
			if i%20 == 0 && !reflect.DeepEqual(with.parts, without.parts) {
				t.Fatalf("seed %d: after a span of %d other traces are known or odd", seed, s.at)
			}
		}
	}
}
