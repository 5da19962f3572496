package dashboards_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/braidhq/braid/exporters/elasticsearch"
	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/store"
	"github.com/braidhq/braid/traces"
)

// described collects what rooms register: the names and labels of metrics that have no series before something happens.
type described map[string][]string

var description = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{(.*)\}\}$`)

func (d described) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc)
	go func() { c.Describe(ch); close(ch) }()
	for desc := range ch {
		m := description.FindStringSubmatch(desc.String())
		d[m[1]] = strings.Split(m[2], ",")
		d[m[1]+"_bucket"] = d[m[1]] // should it be a histogram
	}
	return nil
}

func (d described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = d.Register(c)
	}
}

func (described) Unregister(prometheus.Collector) bool { return true }

// rare are the metrics that a demo in which all is well has no series of.
func rare(t *testing.T) described {
	t.Helper()
	ofContainers := []string{"namespace", "pod", "container"} // the kubelet's word, which a demo has no kubelet for
	d := described{"container_cpu_usage_seconds_total": ofContainers, "container_memory_working_set_bytes": ofContainers}
	tail.NewMetrics(d)
	traces.NewGraph(traces.GraphOptions{Registerer: d})
	if _, err := elasticsearch.New(elasticsearch.Options{URLs: []string{"http://127.0.0.1:1"}, StateDir: t.TempDir(), Registerer: d}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: t.TempDir(), Registerer: d})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// namesExist holds that every metric that is named exists, with the labels that are named, and with their values where
// these are fixed.
func (s *site) namesExist(t *testing.T) {
	rare, seen := rare(t), map[string]described{}
	p := parser.NewParser(parser.Options{})
	anything := values{"cluster": ".*", "namespace": ".*", "workload": ".*", "pod": ".*", "service": "(a|b)", "job": ".*", "instance": ".*"}
	for _, q := range queries(t) {
		expr, err := p.ParseExpr(anything.in(builtin.in(q.expr)))
		if err != nil {
			t.Fatal(q.where, err)
		}
		all := map[string]bool{} // labels of everything in the query, and those it makes
		var grouped []string
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			switch n := node.(type) {
			case *parser.VectorSelector:
				for _, name := range metricNames(n) {
					if seen[name] == nil {
						seen[name] = s.labels(t, name)
					}
					s.checkSelector(t, q.where, name, n, seen[name], rare)
					for label := range seen[name] {
						all[label] = true
					}
					for _, label := range append(rare[name], "cluster", "node", "instance", "job") {
						all[label] = true
					}
				}
			case *parser.AggregateExpr:
				if !n.Without {
					grouped = append(grouped, n.Grouping...)
				}
			case *parser.Call:
				if n.Func.Name == "label_replace" {
					all[n.Args[1].(*parser.StringLiteral).Val] = true
				}
			}
			return nil
		})
		for _, label := range grouped {
			if !all[label] {
				t.Errorf("%s: nothing in it has the label %s: %s", q.where, label, q.expr)
			}
		}
	}
}

// metricNames are those that a selector names, be it by a list.
func metricNames(n *parser.VectorSelector) []string {
	if n.Name != "" {
		return []string{n.Name}
	}
	for _, m := range n.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			return strings.Split(m.Value, "|")
		}
	}
	return []string{""}
}

// labels returns the labels of a metric and the values of each, as the demo has them.
func (s *site) labels(t *testing.T, metric string) described {
	t.Helper()
	var answer struct{ Data []map[string]string }
	if err := get(t, s.api+"/api/v1/series", url.Values{"match[]": {`{__name__="` + metric + `"}`}}, &answer); err != nil {
		t.Fatal(err)
	}
	d := described{}
	for _, series := range answer.Data {
		for label, value := range series {
			d[label] = append(d[label], value)
		}
	}
	return d
}

func (s *site) checkSelector(t *testing.T, where, metric string, n *parser.VectorSelector, seen, rare described) {
	t.Helper()
	known, described := rare[metric]
	if len(seen) == 0 && !described {
		t.Errorf("%s: no room exports %s", where, metric)
		return
	}
	for _, m := range n.LabelMatchers {
		target := slices.Contains([]string{model.MetricNameLabel, "cluster", "node", "instance", "job"}, m.Name)
		fixed := m.Type == labels.MatchEqual && m.Value != "" && !strings.ContainsAny(m.Value, "$*")
		switch {
		case target:
		case len(seen[m.Name]) == 0 && !slices.Contains(known, m.Name):
			t.Errorf("%s: %s has no label %s", where, metric, m.Name)
		case fixed && !slices.Contains(seen[m.Name], m.Value):
			t.Errorf("%s: %s has never %s=%q, but %v", where, metric, m.Name, m.Value, slices.Compact(slices.Sorted(slices.Values(seen[m.Name]))))
		}
	}
}

// firesNothing holds that no alert is true of a demo in which all is well.
func (s *site) firesNothing(t *testing.T) {
	for _, r := range alerts(t) {
		if rows, err := s.promql(t, r.Expr, true); err != nil || rows > 0 {
			t.Errorf("%s: %d rows, %v", r.Alert, rows, err)
		}
	}
}
