package correlate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestRulesAreChecked(t *testing.T) {
	many := Rule{Kind: RuleAny}
	for i := range 65 {
		many.Rules = append(many.Rules, Rule{Name: fmt.Sprint(i), Kind: RuleError})
	}
	for name, r := range map[string]Rule{
		"any of nothing":  {Kind: RuleAny},
		"all with a name": {Kind: RuleAll, Name: "x", Rules: []Rule{{Name: "y", Kind: RuleError}}},
		"no name":         {Kind: RuleError},
		"twice a name":    {Kind: RuleAny, Rules: []Rule{{Name: "x", Kind: RuleError}, {Name: "x", Kind: RuleAlways}}},
		"too many":        many,
		"slow":            {Name: "x", Kind: RuleSlow},
		"slow twice":      {Name: "x", Kind: RuleSlow, Above: 1, Quantile: 0.5},
		"quantile 1":      {Name: "x", Kind: RuleSlow, Quantile: 1},
		"no key":          {Name: "x", Kind: RuleAttribute},
		"whole share":     {Name: "x", Kind: RuleShare, Probability: 1},
		"two shares":      {Name: "x", Kind: RuleShare, Probability: 0.5, Traces: 1},
		"backward share":  {Name: "x", Kind: RuleShare, Traces: 1, Per: -1},
		"unknown":         {Name: "x", Kind: 99},
	} {
		if _, err := NewRules(r); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Bits of the rules of TestDecide, in order of their names.
func TestDecide(t *testing.T) {
	leaf := func(name string, k RuleKind) Rule { return Rule{Name: name, Kind: k} }
	any := func(r ...Rule) Rule { return Rule{Kind: RuleAny, Rules: r} }
	all := func(r ...Rule) Rule { return Rule{Kind: RuleAll, Rules: r} }
	e, l, x := leaf("e", RuleError), leaf("l", RuleErrorLine), leaf("x", RuleExemplar)
	for i, c := range []struct {
		rule  Rule
		facts uint64
		kept  bool
	}{
		{e, 0, false}, {e, 1, true},
		{any(e, l), 0, false}, {any(e, l), 2, true},
		{all(e, l), 1, false}, {all(e, l), 2, false}, {all(e, l), 3, true},
		{any(all(e, l), x), 3, true}, {any(all(e, l), x), 4, true}, {any(all(e, l), x), 2, false},
		{all(any(e, l), x), 4, false}, {all(any(e, l), x), 6, true},
		{leaf("a", RuleAlways), 0, true}, {leaf("n", RuleNever), 0, false},
		{all(e, leaf("n", RuleNever)), 1, false}, {any(e, leaf("a", RuleAlways)), 0, true},
	} {
		r, err := NewRules(c.rule)
		if err != nil {
			t.Fatal(err)
		}
		if _, kept := r.Decide(&Candidate{Trace: traceID(1), Facts: c.facts}, &Budgets{}); kept != c.kept {
			t.Errorf("%d: kept is %v", i, kept)
		}
	}
}

func TestALimitedShareIsSpentOnWhatNothingElseKeeps(t *testing.T) {
	r, err := NewRules(Rule{Kind: RuleAny, Rules: []Rule{
		{Name: "share", Kind: RuleShare, Traces: 2}, {Name: "error", Kind: RuleError},
		{Kind: RuleAll, Rules: []Rule{{Name: "minute", Kind: RuleShare, Traces: 1, Per: time.Minute}, {Name: "line", Kind: RuleErrorLine}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Names(), []string{"share", "error", "minute", "line"}) {
		t.Errorf("the names are %q", r.Names())
	}
	var b Budgets
	for i, c := range []struct {
		at      time.Duration
		service string
		facts   uint64
		held    uint64
		kept    bool
	}{
		{time.Minute, "a", 2, 2, true}, // the error spends nothing
		{time.Minute, "a", 0, 1, true},
		{time.Minute, "a", 0, 1, true},
		{time.Minute, "a", 0, 0, false},
		{time.Minute, "b", 0, 1, true},
		{time.Minute, "a", 8, 12, true}, // the share is spent, the minute's is not
		{time.Minute, "a", 8, 8, false},
		{61*time.Second - 1, "a", 0, 0, false},
		{61 * time.Second, "a", 0, 1, true},
		{61 * time.Second, "a", 0, 1, true},
		{61 * time.Second, "a", 8, 8, false},
		{2 * time.Minute, "a", 8, 9, true},
	} {
		held, kept := r.Decide(&Candidate{Trace: traceID(i), ReceivedUnixNano: int64(c.at), Service: c.service, Facts: c.facts}, &b)
		if held != c.held || kept != c.kept {
			t.Errorf("%d: %b, %v", i, held, kept)
		}
	}
}

func TestServicesBeyondTheLimitShareABudget(t *testing.T) {
	r := rules(t, Rule{Name: "share", Kind: RuleShare, Traces: 1})
	var b Budgets
	kept := 0
	for i := range 3 * maxBudgets {
		if _, ok := r.Decide(&Candidate{Trace: traceID(i), Service: fmt.Sprint(i)}, &b); ok {
			kept++
		}
	}
	if kept != maxBudgets+1 {
		t.Errorf("%d are kept", kept)
	}
}

func TestProbability(t *testing.T) {
	r := rules(t, Rule{Name: "share", Kind: RuleShare, Probability: 0.1})
	rng := rand.New(rand.NewPCG(1, 2))
	for name, id := range map[string]func(i int) (c Candidate){
		"random": func(int) (c Candidate) {
			for i := range c.Trace {
				c.Trace[i] = byte(rng.Uint32())
			}
			return c
		},
		"low bytes count up":  func(i int) (c Candidate) { c.Trace[15], c.Trace[14] = byte(i), byte(i>>8); return c },
		"high bytes count up": func(i int) (c Candidate) { c.Trace[0], c.Trace[1] = byte(i), byte(i>>8); return c },
	} {
		kept := 0
		for i := range 20_000 {
			c := id(i)
			_, first := r.Decide(&c, &Budgets{})
			if _, again := r.Decide(&c, &Budgets{}); again != first {
				t.Error("it is not decided alike")
			}
			kept += count(first)
		}
		if kept < 1800 || kept > 2200 {
			t.Errorf("%s: %d of 20,000 are kept", name, kept)
		}
	}
}

func TestDecidingDoesNotAllocate(t *testing.T) {
	r := rules(t, Rule{Name: "e", Kind: RuleError}, Rule{Name: "p", Kind: RuleShare, Probability: 0.1}, Rule{Name: "s", Kind: RuleShare, Traces: 10})
	var b Budgets
	c := Candidate{Service: "a"}
	if n := testing.AllocsPerRun(1000, func() {
		c.Trace[3]++
		c.ReceivedUnixNano += int64(100 * time.Millisecond)
		r.Decide(&c, &b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
