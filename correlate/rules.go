package correlate

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// RuleKind says what a [Rule] looks at.
type RuleKind uint8

// The kinds of rules. RuleAny and RuleAll combine others; the rest look at a trace.
const (
	RuleAny       RuleKind = iota // one of Rules holds
	RuleAll                       // all of Rules hold
	RuleError                     // a span has the status error
	RuleSlow                      // a span lasted longer than Above, or than Quantile of its own operation's spans
	RuleErrorLine                 // a log line has the severity error or a higher one
	RuleExemplar                  // a scraped exemplar names the trace
	RuleAttribute                 // a span, or its resource, has the attribute Key with one of Values
	RuleShare                     // a share of the traces: Traces in each Per and service, or each with Probability
	RuleAlways
	RuleNever
)

// A Rule says of a trace whether it is worth keeping, from what was received before t + Wait.
type Rule struct {
	Kind  RuleKind
	Name  string // in metrics, unique; RuleAny and RuleAll have none
	Rules []Rule // RuleAny, RuleAll

	Above    time.Duration // RuleSlow
	Quantile float64       // RuleSlow without Above, between 0 and 1: for example 0.99
	Key      string        // RuleAttribute
	Values   []string      // RuleAttribute; none: any value

	Traces      int           // RuleShare
	Per         time.Duration // RuleShare; 0: one second
	Probability float64       // RuleShare without Traces
}

// maxRules is how many bits a verdict has for them.
const maxRules = 64

// Rules are a rule and those below it, ready for use. They are immutable.
type Rules struct {
	root  node
	names []string

	// By bit, the rules that look at one thing each. lines and exemplars are known before the first span, others come with spans.
	errors, lines, exemplars, always uint64
	slow                             []slowRule
	quantiles                        []quantileRule
	attributes                       []attributeRule
	shares                           []shareRule
	chances                          []chanceRule
}

type (
	slowRule struct {
		bit   uint64
		above int64
	}
	quantileRule struct {
		bit      uint64
		quantile float64
	}
	attributeRule struct {
		bit    uint64
		key    string
		values []string
	}
	shareRule struct {
		bit    uint64
		traces int
		per    int64
	}
	chanceRule struct {
		bit   uint64
		below uint64 // of the trace id's hash
	}
)

// A node is a rule in the tree: its bit, or those below it.
type node struct {
	all      bool
	bit      uint64
	share    int // 1 + index of a share that is limited by rate
	limited  bool
	children []node
}

// NewRules checks root and returns it with all below it.
func NewRules(root Rule) (*Rules, error) {
	r := &Rules{}
	n, err := r.add(&root)
	if err != nil {
		return nil, fmt.Errorf("cannot use the sampling rules: %w", err)
	}
	r.root = n
	return r, nil
}

// Names returns the names of the rules that look at a trace, by bit.
func (r *Rules) Names() []string { return slices.Clone(r.names) }

func (r *Rules) nameOf(bit uint64) string { return r.names[bitNumber(bit)] }

func bitNumber(bit uint64) int { return bits.TrailingZeros64(bit) }

func (r *Rules) add(rule *Rule) (node, error) {
	if rule.Kind == RuleAny || rule.Kind == RuleAll {
		if len(rule.Rules) == 0 || rule.Name != "" {
			return node{}, errors.New("any and all need rules and have no name")
		}
		n := node{all: rule.Kind == RuleAll}
		for i := range rule.Rules {
			child, err := r.add(&rule.Rules[i])
			if err != nil {
				return node{}, err
			}
			n.limited = n.limited || child.limited
			n.children = append(n.children, child)
		}
		// A limited share is asked last, so that it is spent on what nothing else decides.
		slices.SortStableFunc(n.children, func(a, b node) int { return cmp.Compare(count(a.limited), count(b.limited)) })
		return n, nil
	}
	if rule.Name == "" || slices.Contains(r.names, rule.Name) || len(r.names) == maxRules {
		return node{}, fmt.Errorf("rule %q: it needs a name of its own, and there can be %d rules", rule.Name, maxRules)
	}
	bit := uint64(1) << len(r.names)
	r.names = append(r.names, rule.Name)
	n := node{bit: bit}
	if err := r.addLeaf(rule, bit); err != nil {
		return node{}, fmt.Errorf("rule %q: %w", rule.Name, err)
	}
	if rule.Kind == RuleShare && rule.Traces > 0 {
		n.share, n.limited = len(r.shares), true
	}
	return n, nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *Rules) addLeaf(rule *Rule, bit uint64) error {
	switch rule.Kind {
	case RuleError:
		r.errors |= bit
	case RuleErrorLine:
		r.lines |= bit
	case RuleExemplar:
		r.exemplars |= bit
	case RuleAlways:
		r.always |= bit
	case RuleNever:
	case RuleSlow:
		switch {
		case rule.Above > 0 && rule.Quantile == 0:
			r.slow = append(r.slow, slowRule{bit, int64(rule.Above)})
		case rule.Above == 0 && rule.Quantile > 0 && rule.Quantile < 1:
			r.quantiles = append(r.quantiles, quantileRule{bit, rule.Quantile})
		default:
			return errors.New("slow needs a duration, or a quantile between 0 and 1")
		}
	case RuleAttribute:
		if rule.Key == "" {
			return errors.New("an attribute needs a key")
		}
		r.attributes = append(r.attributes, attributeRule{bit, rule.Key, slices.Clone(rule.Values)})
	case RuleShare:
		return r.addShare(rule, bit)
	default:
		return fmt.Errorf("unknown kind %d", rule.Kind)
	}
	return nil
}

func (r *Rules) addShare(rule *Rule, bit uint64) error {
	per := cmp.Or(rule.Per, time.Second)
	switch {
	case rule.Traces > 0 && rule.Probability == 0 && per > 0:
		r.shares = append(r.shares, shareRule{bit, rule.Traces, int64(per)})
	case rule.Traces == 0 && rule.Probability >= 0 && rule.Probability < 1:
		r.chances = append(r.chances, chanceRule{bit, uint64(rule.Probability * (1 << 63) * 2)})
	default:
		return errors.New("a share needs a number of traces, or a probability below 1")
	}
	return nil
}

// A Candidate is a trace that is to be decided.
type Candidate struct {
	Trace            telemetry.TraceID
	ReceivedUnixNano int64  // t
	Service          string // of its first span
	Facts            uint64 // bits of the rules that spans, lines and exemplars have made hold: see [Index.Facts]
}

// Decide says whether c is kept, and the bits of the rules that hold for it. The same candidates in the same order with the
// same budgets are always decided alike; nothing else plays a part.
func (r *Rules) Decide(c *Candidate, b *Budgets) (held uint64, kept bool) {
	held = c.Facts | r.always
	if len(r.chances) > 0 {
		hash := mix(c.Trace)
		for i := range r.chances {
			if hash < r.chances[i].below {
				held |= r.chances[i].bit
			}
		}
	}
	kept = r.holds(&r.root, &held, c, b)
	return held, kept
}

func (r *Rules) holds(n *node, held *uint64, c *Candidate, b *Budgets) bool {
	switch {
	case n.share > 0:
		if b.take(n.share-1, &r.shares[n.share-1], c) {
			*held |= n.bit
			return true
		}
		return false
	case n.children == nil:
		return *held&n.bit != 0
	}
	for i := range n.children {
		if r.holds(&n.children[i], held, c, b) != n.all {
			return !n.all
		}
	}
	return n.all
}

// mix hashes a trace id, of which some senders make parts count up.
func mix(id telemetry.TraceID) uint64 {
	const odd = 0x9e3779b97f4a7c15
	hi, lo := bits.Mul64(idWord(id[:8])^odd, idWord(id[8:])^0xd6e8feb86659fd93)
	h := (hi ^ lo) * odd
	return h ^ h>>32
}

func idWord(b []byte) (w uint64) {
	for _, c := range b {
		w = w<<8 | uint64(c)
	}
	return w
}

// matches reports whether v is one of the values.
func (a *attributeRule) matches(v *telemetry.Value) bool {
	if len(a.values) == 0 {
		return true
	}
	var scratch [32]byte
	text := scratch[:0]
	switch v.Kind {
	case telemetry.IntValue:
		text = strconv.AppendInt(text, v.Int, 10)
	case telemetry.FloatValue:
		text = strconv.AppendFloat(text, v.Float, 'g', -1, 64)
	case telemetry.BoolValue:
		text = strconv.AppendBool(text, v.Int != 0)
	default:
		return slices.Contains(a.values, v.Str)
	}
	for _, want := range a.values {
		if string(text) == want {
			return true
		}
	}
	return false
}

func (a *attributeRule) in(attrs []telemetry.Attr) bool {
	for i := range attrs {
		if attrs[i].Key == a.key {
			return a.matches(&attrs[i].Value)
		}
	}
	return false
}

// ofResource returns the bits of the attribute rules that the resource makes hold.
func (r *Rules) ofResource(res *telemetry.Resource) (held uint64) {
	if res == nil {
		return 0
	}
	for i := range r.attributes {
		a := &r.attributes[i]
		if name, known := resourceField(res, a.key); known {
			if v := telemetry.String(name); name != "" && a.matches(&v) {
				held |= a.bit
			}
		} else if a.in(res.Attrs) {
			held |= a.bit
		}
	}
	return held
}

// resourceField returns what a resource keeps in a field of its own.
func resourceField(r *telemetry.Resource, key string) (value string, known bool) {
	switch key {
	case "service.name":
		return r.Service, true
	case "service.namespace":
		return r.ServiceNamespace, true
	case "service.version":
		return r.ServiceVersion, true
	case "service.instance.id":
		return r.ServiceInstance, true
	case "k8s.cluster.name":
		return r.Cluster, true
	case "k8s.node.name":
		return r.Node, true
	case "k8s.namespace.name":
		return r.Namespace, true
	case "k8s.pod.name":
		return r.Pod, true
	case "k8s.pod.uid":
		return r.PodUID, true
	case "k8s.container.name":
		return r.Container, true
	case "container.id":
		return r.ContainerID, true
	}
	return "", false
}
