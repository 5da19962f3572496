package dashboards_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// run runs a program of the testbed and fails the test with what it says.
func run(t *testing.T, dir string, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

func absolute(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	for i := range files {
		if files[i], err = filepath.Abs(files[i]); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestDashboardsAreOfGrafanasSchema(t *testing.T) {
	run(t, "../testbed/grafana", append([]string{"go", "run", "."}, absolute(t, "grafana/*.json")...)...)
}

func TestAlertsFireAndAreSilent(t *testing.T) {
	run(t, ".", "../testbed/prometheus/promtool.sh", "check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml")
	run(t, ".", "../testbed/prometheus/promtool.sh", "test", "rules", "alerts_test.yaml")
}

// Every alert is seen firing, and seen silent where all is well.
func TestEveryAlertIsTested(t *testing.T) {
	var tests struct {
		Tests []struct {
			Name  string
			Alert []struct {
				Alertname string
				Expected  []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, "alerts_test.yaml", &tests)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, a := range test.Alert {
			fires[a.Alertname] = fires[a.Alertname] || len(a.Expected) > 0
			silent[a.Alertname] = silent[a.Alertname] || len(a.Expected) == 0 && test.Name == "all is well"
		}
	}
	for _, r := range alerts(t) {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: seen firing: %v, seen silent where all is well: %v", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

const runbook = "https://github.com/braidhq/braid/blob/main/docs/runbook.md#"

// Every alert says what it is about and leads to its section of the runbook, and every section is some alert's.
func TestEveryAlertHasItsSectionInTheRunbook(t *testing.T) {
	text, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		sections[title] = body
	}
	for _, r := range alerts(t) {
		a, body := r.Annotations, sections[r.Alert]
		delete(sections, r.Alert)
		if a["summary"] == "" || a["description"] == "" || a["runbook_url"] != runbook+strings.ToLower(r.Alert) {
			t.Errorf("%s: %v", r.Alert, a)
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		for _, part := range []string{"**Means.**", "**See.**", "**Do.**"} {
			if !strings.Contains(body, part) {
				t.Errorf("the runbook's section %s has no part %s", r.Alert, part)
			}
		}
	}
	for title := range sections {
		t.Errorf("the runbook's section %s is no alert's", title)
	}
}

// A promql is a query, and where it stands.
type promql struct {
	where, expr string
	target      target
}

// queries are those of all panels, alerts and of the runbook, with variables as they stand.
func queries(t *testing.T) (all []promql) {
	t.Helper()
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if q.Datasource.Type == "prometheus" {
					all = append(all, promql{d.file + ": " + p.Title, q.Expr, q})
				}
			}
		}
	}
	for _, r := range alerts(t) {
		all = append(all, promql{"alert " + r.Alert, r.Expr, target{Instant: true}})
	}
	for _, doc := range []string{"../docs/runbook.md", "../docs/dashboards.md"} {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("(?s)```promql\n(.+?)```").FindAllSubmatch(text, -1) {
			for line := range strings.SplitSeq(strings.TrimSpace(string(m[1])), "\n") {
				all = append(all, promql{doc, line, target{Instant: true}})
			}
		}
	}
	return all
}

func TestEveryQueryParses(t *testing.T) {
	p := parser.NewParser(parser.Options{})
	anything := values{"cluster": ".*", "namespace": ".*", "workload": ".*", "pod": ".*", "service": "(a|b)", "job": ".*", "instance": ".*"}
	all := queries(t)
	for _, q := range all {
		if _, err := p.ParseExpr(anything.in(builtin.in(q.expr))); err != nil {
			t.Errorf("%s: %s: %v", q.where, q.expr, err)
		}
	}
	if len(all) < 150 {
		t.Errorf("%d queries: not looking at all of them", len(all))
	}
}
