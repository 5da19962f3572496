package dashboards_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The files as Grafana and Prometheus read them, as far as the tests look.

type dashboard struct {
	file       string
	Title, UID string
	Templating struct{ List []variable }
	Panels     []panel
}

type variable struct {
	Name, Type, Regex, AllValue string
	Query                       json.RawMessage
	IncludeAll                  bool
	Current                     struct{ Value string }
}

type panel struct {
	Title, Type string
	Datasource  source
	Targets     []target
	FieldConfig struct {
		Overrides []struct {
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
	Options struct{ Content string }
}

type source struct{ Type, UID string }

// A target is one query, of whichever data source.
type target struct {
	Datasource source

	Expr              string // prometheus
	Instant, Exemplar bool

	Query      string // elasticsearch, and a trace id of jaeger
	TimeField  string
	Metrics    []struct{ Type string }
	BucketAggs []struct {
		ID, Type, Field string
		Settings        map[string]string
	}

	QueryType, Service, Operation, Tags, MinDuration, MaxDuration string // jaeger
	Limit                                                         int
}

func dashboards(t *testing.T) (all []dashboard) {
	t.Helper()
	files, err := filepath.Glob("grafana/*.json")
	if err != nil || len(files) != 5 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := dashboard{file: file}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(file, err)
		}
		all = append(all, d)
	}
	return all
}

type rule struct {
	Alert, Expr, For string
	Labels           map[string]string
	Annotations      map[string]string
}

func alerts(t *testing.T) (all []rule) {
	t.Helper()
	var rules struct{ Groups []struct{ Rules []rule } }
	readYAML(t, "alerts.yaml", &rules)
	for _, g := range rules.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 15 {
		t.Fatalf("%d alerts: not looking at all of them", len(all))
	}
	return all
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(file, err)
	}
}

// values of variables, as Grafana puts them into queries.
type values map[string]string

var reference = regexp.MustCompile(`\$(\w+)|\$\{(\w+)(?::\w+)?\}`)

// in replaces references to variables; what is none stays, as the $1 of a replacement does.
func (v values) in(text string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		name := strings.Trim(ref, "${}")
		name, _, _ = strings.Cut(name, ":")
		if value, known := v[name]; known {
			return value
		}
		return ref
	})
}

// builtin are the variables that Grafana itself has.
var builtin = values{"__rate_interval": "1m", "__range": "1h"}

func TestEveryReferenceNamesAVariable(t *testing.T) {
	linked := regexp.MustCompile(`^__(url_time_range|value|data|rate_interval|range|all)$|^1$`)
	for _, d := range dashboards(t) {
		known := map[string]bool{}
		for _, v := range d.Templating.List {
			known[v.Name] = true
		}
		text, err := os.ReadFile(d.file)
		if err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for _, m := range reference.FindAllStringSubmatch(string(text), -1) {
			name := m[1] + m[2]
			used[name] = true
			if !known[name] && !linked.MatchString(name) {
				t.Errorf("%s: $%s is no variable of it", d.file, name)
			}
		}
		for name := range known {
			if !used[name] {
				t.Errorf("%s: nothing uses $%s", d.file, name)
			}
		}
	}
}

func TestLinksLeadToDashboards(t *testing.T) {
	all := dashboards(t)
	uids := map[string]dashboard{}
	for _, d := range all {
		uids[d.UID] = d
	}
	links := regexp.MustCompile(`/d/([a-z-]+)\?([^)"\\ ]+)`)
	found := 0
	for _, d := range all {
		text, err := os.ReadFile(d.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range links.FindAllStringSubmatch(string(text), -1) {
			found++
			to, there := uids[m[1]]
			if !there {
				t.Errorf("%s links to %s, which is not there", d.file, m[1])
			}
			for part := range strings.SplitSeq(m[2], "&") {
				name := strings.TrimPrefix(strings.SplitN(part, "=", 2)[0], "var-")
				name = strings.TrimSuffix(strings.TrimPrefix(name, "${"), ":queryparam}")
				if name == "${__url_time_range}" || name == "__url_time_range}" {
					continue
				}
				known := false
				for _, v := range to.Templating.List {
					known = known || v.Name == name
				}
				if !known {
					t.Errorf("%s gives %s the variable %s, which it has not", d.file, m[1], name)
				}
			}
		}
	}
	if found < 4 {
		t.Errorf("%d links: not looking at all of them", found)
	}
}

// remarshal reads what YAML has made of a mapping as Grafana reads JSON, where $$ is a $.
func remarshal(t *testing.T, from map[string]any, into any) {
	t.Helper()
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(bytes.ReplaceAll(text, []byte("$$"), []byte("$")), into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
