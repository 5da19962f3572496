package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const goodAgent = `
cluster: demo
node: n1
data_dir: /var/lib/braid-agent
aggregator: {url: "http://127.0.0.1:4319"}
logs:
  - path: /var/log/pods
scrape_configs:
  - job_name: node
    scrape_interval: 15s
    static_configs: [{targets: ["127.0.0.1:9100"]}]
    metric_relabel_configs:
      - {source_labels: [a], regex: "(?P<x>.*)", target_label: b, replacement: "${x}"}
receivers: {http: 127.0.0.1:4318}
web: {listen: 127.0.0.1:9465}
`

// problems returns what err lists, as LINE: TEXT.
func problems(t *testing.T, err error) []Problem {
	t.Helper()
	var p *Problems
	if !errors.As(err, &p) {
		t.Fatalf("error %v is no list of problems", err)
	}
	return p.List
}

func TestAgentReadsPrometheusSectionsAsPrometheusDoes(t *testing.T) {
	c, err := ParseAgent("agent.yaml", []byte(goodAgent))
	if err != nil {
		t.Fatal(err)
	}
	job := c.Prometheus.ScrapeConfigs[0]
	if time.Duration(job.ScrapeInterval) != 15*time.Second || job.JobName != "node" {
		t.Errorf("job = %s every %v", job.JobName, job.ScrapeInterval)
	}
	if got := job.MetricRelabelConfigs[0].Replacement; got != "${x}" {
		t.Errorf("relabelling's own ${x} became %q", got)
	}
	if c.Logs[0].Format != "cri" || c.Limits.MaxLineBytes != 1<<20 {
		t.Errorf("defaults: %+v %+v", c.Logs[0], c.Limits)
	}
}

func TestCompressionTowardsTheAggregator(t *testing.T) {
	for given, want := range map[string]string{"": "zstd", ", compression: zstd": "zstd", ", compression: gzip": "gzip", ", compression: none": "none"} {
		c, err := ParseAgent("agent.yaml", []byte(strings.Replace(goodAgent, `:4319"}`, `:4319"`+given+"}", 1)))
		if err != nil || c.Aggregator.Compression != want {
			t.Errorf("%q: %+v, %v", given, c, err)
		}
	}
	_, err := ParseAgent("agent.yaml", []byte(strings.Replace(goodAgent, `:4319"}`, `:4319", compression: lz4}`, 1)))
	if got := problems(t, err); len(got) != 1 || got[0].Line != 5 || !strings.Contains(got[0].Text, `"lz4" is unknown: zstd, gzip or none`) {
		t.Errorf("problems = %v", got)
	}
}

func TestEveryProblemIsReportedAtOnceWithItsLine(t *testing.T) {
	_, err := ParseAgent("agent.yaml", []byte(`cluster: demo
data_dir: /tmp/x
agregator: {url: "http://a:1"}
logs:
  - path: /var/log/pods
    fromat: cri
limits:
  max_line_bytes: lots
scrape_configs:
  - job_name: a
    scrape_intervall: 5s
`))
	want := []struct {
		line int
		text string
	}{
		{1, "aggregator.url is missing"},
		{3, `unknown key "agregator"`},
		{6, `unknown key "fromat"`},
		{8, `"lots" is no size`},
		{11, "scrape_intervall"},
	}
	got := problems(t, err)
	if len(got) != len(want) {
		t.Fatalf("%d problems, %d expected:\n%v", len(got), len(want), err)
	}
	for i, w := range want {
		if got[i].Line != w.line || !strings.Contains(got[i].Text, w.text) {
			t.Errorf("problem %d = line %d %q, expected line %d %q", i, got[i].Line, got[i].Text, w.line, w.text)
		}
	}
	if !strings.HasPrefix(err.Error(), "agent.yaml:1: ") {
		t.Errorf("error text %q does not begin with file and line", err)
	}
}

func TestEnvironmentIsExpandedAndItsAbsenceIsAnError(t *testing.T) {
	t.Setenv("BRAID_TEST_NODE", "n7")
	text := strings.Replace(goodAgent, "node: n1", "node: ${BRAID_TEST_NODE}", 1)
	c, err := ParseAgent("agent.yaml", []byte(text))
	if err != nil || c.Node != "n7" {
		t.Fatalf("node = %v, %v", c, err)
	}
	text = strings.Replace(goodAgent, "node: n1", "node: ${BRAID_TEST_ABSENT}", 1)
	_, err = ParseAgent("agent.yaml", []byte(text))
	got := problems(t, err)
	if len(got) != 1 || got[0].Line != 3 || !strings.Contains(got[0].Text, "BRAID_TEST_ABSENT is not set") {
		t.Errorf("problems = %v", got)
	}
}

func TestAggregator(t *testing.T) {
	c, err := ParseAggregator("a.yaml", []byte(`data_dir: /var/lib/braid
receivers: {http: "127.0.0.1:4319"}
exporters:
  - name: local
    store: {}
  - name: es
    elasticsearch: {urls: ["http://127.0.0.1:9200"]}
  - name: prom
    optional: true
    remote_write: {url: "http://127.0.0.1:9090/api/v1/write", protobuf_message: io.prometheus.write.v2.Request}
`))
	if err != nil {
		t.Fatal(err)
	}
	if time.Duration(c.Exporters[0].Store.Retention) != 24*time.Hour {
		t.Errorf("retention = %v", c.Exporters[0].Store.Retention)
	}
	if es := c.Exporters[1].Elasticsearch; es.Compression != "gzip" || es.LogsDataStream != "logs-braid-default" {
		t.Errorf("elasticsearch defaults: %+v", es)
	}
	if p := c.Exporters[2]; p.Prometheus.URL.String() != "http://127.0.0.1:9090/api/v1/write" || !p.Optional {
		t.Errorf("remote write: %+v", p)
	}
}

func TestAggregatorRefusals(t *testing.T) {
	tests := map[string]struct {
		text string
		line int
		says string
	}{
		"no exporters":        {"data_dir: /x\nreceivers: {http: 127.0.0.1:1}\n", 1, "exporters is missing"},
		"two kinds":           {"data_dir: /x\nreceivers: {http: 127.0.0.1:1}\nexporters:\n- name: a\n  store: {}\n  elasticsearch: {urls: [http://a]}\n", 4, "exactly one"},
		"a name twice":        {"data_dir: /x\nreceivers: {http: 127.0.0.1:1}\nexporters:\n- {name: a, elasticsearch: {urls: [http://a]}}\n- {name: a, elasticsearch: {urls: [http://b]}}\n", 5, "used twice"},
		"remote write no url": {"data_dir: /x\nreceivers: {http: 127.0.0.1:1}\nexporters:\n- name: a\n  remote_write: {name: x}\n", 5, "url for remote_write is empty"},
		"remote write key":    {"data_dir: /x\nreceivers: {http: 127.0.0.1:1}\nexporters:\n- name: a\n  remote_write:\n    url: http://a\n    urll: http://b\n", 7, "urll"},
		"histograms":          {"data_dir: /x\nreceivers: {http: 127.0.0.1:1}\nspan_metrics:\n  histograms: nativ\nexporters:\n- {name: a, store: {}}\n", 4, "classic, native or both"},
		"not a mapping":       {"- a\n", 1, "a mapping of keys"},
		"broken YAML":         {"data_dir: [\n", 1, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseAggregator("a.yaml", []byte(test.text))
			for _, p := range problems(t, err) {
				if p.Line == test.line && strings.Contains(p.Text, test.says) {
					return
				}
			}
			t.Errorf("no problem in line %d says %q: %v", test.line, test.says, err)
		})
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"1": 1, "64MiB": 64 << 20, "1 GiB": 1 << 30, "2TiB": 2 << 40} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "1MB", "9000000TiB", "x"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, an error was expected", text, got)
		}
	}
}
