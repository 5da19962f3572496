package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Sampling says which traces are kept. A configuration without it keeps all.
type Sampling struct {
	Wait      Duration       `yaml:"wait"`       // W: what is received within it of a trace's first span decides; default 10s
	Late      Duration       `yaml:"late"`       // L: for how long after that spans and lines follow the verdict; default 5m
	MaxTraces int            `yaml:"max_traces"` // traces with facts that are remembered at once; default 5000000
	DryRun    bool           `yaml:"dry_run"`    // true: decide and count, drop nothing; default false
	Keep      []SamplingRule `yaml:"keep"`       // rules; a trace is kept if one of them holds; required

	// Rules of these types in Keep make the question void.
	ErrorLines *bool `yaml:"error_lines"` // true: a line of severity error or fatal keeps its trace; default true
	Exemplars  *bool `yaml:"exemplars"`   // true: an exemplar that was scraped or pushed keeps its trace; default true
}

// SamplingRule looks at a trace: it has a name and a type, or else any or all.
type SamplingRule struct {
	Any []SamplingRule `yaml:"any"` // rules of which one must hold; has no other key beside it
	All []SamplingRule `yaml:"all"` // rules that must all hold; has no other key beside it

	Name        string   `yaml:"name"`        // letters, digits, - and _; a label of the rule's counters; required, but for any and all
	Type        string   `yaml:"type"`        // error, slow, attribute, share, error_line, exemplar, always or never; required, but for any and all
	Above       Duration `yaml:"above"`       // of slow: a span took longer than this
	Quantile    float64  `yaml:"quantile"`    // of slow, in place of above: a span took longer than this part (0 to 1) of the spans of its service and name
	Key         string   `yaml:"key"`         // of attribute: its name, in a span or its resource
	Values      []string `yaml:"values"`      // of attribute: one of these, as text; default any value
	Probability float64  `yaml:"probability"` // of share: the part of all traces, by their id, between 0 and 1
	Traces      int      `yaml:"traces"`      // of share, in place of probability: so many traces of each service in each period
	Per         Duration `yaml:"per"`         // of share, with traces: the period; default 1s
}

// The types of rules, and the keys that each takes beside name and type.
var ruleKeys = map[string][]string{
	"error": nil, "slow": {"above", "quantile"}, "error_line": nil, "exemplar": nil, "attribute": {"key", "values"},
	"share": {"probability", "traces", "per"}, "always": nil, "never": nil,
}

// maxSamplingRules is how many a verdict has room for, those that are always there included.
const maxSamplingRules = 60

// The names that the rules have which are there by themselves.
const (
	ErrorLinesRule = "error_lines"
	ExemplarsRule  = "exemplars"
)

// LogSampling is the aggregator's section logs.
type LogSampling struct {
	Sampling string `yaml:"sampling"` // none, or follow_trace: lines below warning of traces that were dropped are dropped; default none
}

// FollowTrace reports whether lines of dropped traces are dropped.
func (l LogSampling) FollowTrace() bool { return l.Sampling == "follow_trace" }

func (l *LogSampling) check(root *yaml.Node, sampled bool, p *Problems) {
	at := lineOf(root, "logs", "sampling")
	switch l.Sampling {
	case "", "none":
	case "follow_trace":
		if !sampled {
			p.add(at, "logs.sampling follow_trace needs a section sampling: without it no trace is dropped")
		}
	default:
		p.add(at, "logs.sampling %q is unknown: none or follow_trace", l.Sampling)
	}
}

// check fills in defaults and reports what cannot be; n is the section's node.
func (s *Sampling) check(n *yaml.Node, p *Problems) {
	for _, d := range []struct {
		value    *Duration
		fallback time.Duration
	}{{&s.Wait, 10 * time.Second}, {&s.Late, 5 * time.Minute}} {
		if *d.value == 0 {
			*d.value = Duration(d.fallback)
		}
	}
	if s.MaxTraces < 0 {
		p.add(lineOf(n, "max_traces"), "sampling.max_traces is negative")
	}
	if len(s.Keep) == 0 {
		p.add(n.Line, "sampling.keep is missing: without a rule nothing would be kept; without the section sampling all is")
	}
	names := map[string]bool{}
	checkRules(s.Keep, child(n, "keep"), names, p)
	if len(names) > maxSamplingRules {
		p.add(lineOf(n, "keep"), "sampling has %d rules, %d are possible", len(names), maxSamplingRules)
	}
}

func checkRules(rules []SamplingRule, list *yaml.Node, names map[string]bool, p *Problems) {
	for i := range rules {
		rules[i].check(child(list, fmt.Sprint(i)), names, p)
	}
}

func (r *SamplingRule) check(n *yaml.Node, names map[string]bool, p *Problems) {
	keys := keysOf(n)
	for _, group := range []struct {
		name  string
		rules []SamplingRule
	}{{"any", r.Any}, {"all", r.All}} {
		if !slices.Contains(keys, group.name) {
			continue
		}
		if len(keys) > 1 {
			p.add(n.Line, "a rule with %s has no other key", group.name)
		}
		if len(group.rules) == 0 {
			p.add(n.Line, "%s needs rules", group.name)
		}
		checkRules(group.rules, child(n, group.name), names, p)
		return
	}
	own, known := ruleKeys[r.Type]
	if !known {
		p.add(n.Line, "rule %q has the unknown type %q: error, slow, error_line, exemplar, attribute, share, always or never", r.Name, r.Type)
		return
	}
	switch {
	case r.Name == "" || strings.ContainsFunc(r.Name, notInName):
		p.add(n.Line, "rule name %q: letters, digits, - and _ are expected", r.Name)
	case names[r.Name] || r.Name == ErrorLinesRule || r.Name == ExemplarsRule:
		p.add(n.Line, "rule name %q is taken: its counters have it as a label", r.Name)
	}
	names[r.Name] = true
	for _, key := range keys {
		if key != "name" && key != "type" && !slices.Contains(own, key) {
			p.add(lineOf(n, key), "a rule of type %s has no key %s", r.Type, key)
		}
	}
	r.checkValues(n, p)
}

func (r *SamplingRule) checkValues(n *yaml.Node, p *Problems) {
	switch r.Type {
	case "slow":
		if (r.Above > 0) == (r.Quantile != 0) || r.Quantile < 0 || r.Quantile >= 1 {
			p.add(n.Line, "rule %q: slow takes above (a duration), or quantile (between 0 and 1)", r.Name)
		}
	case "attribute":
		if r.Key == "" {
			p.add(n.Line, "rule %q: attribute takes a key", r.Name)
		}
	case "share":
		if (r.Traces > 0) == (r.Probability > 0) || r.Traces < 0 || r.Probability < 0 || r.Probability >= 1 || r.Per > 0 && r.Traces == 0 {
			p.add(n.Line, "rule %q: share takes probability (between 0 and 1), or traces with per", r.Name)
		}
	}
}

// child returns the node of the key or index name below n, an empty one if there is none.
func child(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	for i, item := range n.Content {
		if n.Kind == yaml.SequenceNode && fmt.Sprint(i) == name {
			return item
		}
	}
	return &yaml.Node{Line: n.Line}
}

func keysOf(n *yaml.Node) (keys []string) {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		keys = append(keys, n.Content[i].Value)
	}
	return keys
}
