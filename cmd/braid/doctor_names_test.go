package main

import (
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/correlate"
	"github.com/braidhq/braid/diagnose"
	"github.com/braidhq/braid/exporters/elasticsearch"
	otlpexporter "github.com/braidhq/braid/exporters/otlp"
	remoteexporter "github.com/braidhq/braid/exporters/remotewrite"
	"github.com/braidhq/braid/listen"
	"github.com/braidhq/braid/listen/listentest"
	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/receivers/otlp"
	"github.com/braidhq/braid/receivers/remotewrite"
	"github.com/braidhq/braid/scrape"
	"github.com/braidhq/braid/store"
	"github.com/braidhq/braid/traces"
)

// describedMetrics are the labels of what rooms register, by name: most of it has no series before something happens.
type describedMetrics map[string][]string

var (
	descriptionOf = regexp.MustCompile(`fqName: "([^"]+)".*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	constantLabel = regexp.MustCompile(`(\w+)="`)
)

func (d describedMetrics) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc)
	go func() { c.Describe(ch); close(ch) }()
	for desc := range ch {
		m := descriptionOf.FindStringSubmatch(desc.String())
		labels := strings.Split(m[3], ",")
		for _, constant := range constantLabel.FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, constant[1])
		}
		d[m[1]] = labels
	}
	return nil
}

func (d describedMetrics) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = d.Register(c)
	}
}

func (describedMetrics) Unregister(prometheus.Collector) bool { return true }

// describeAll makes one of every part that has metrics, as agent and aggregator do.
func describeAll(t *testing.T) describedMetrics {
	t.Helper()
	d, dir := describedMetrics{}, t.TempDir()
	named := prometheus.WrapRegistererWith(prometheus.Labels{"exporter": "x"}, d) // as openOutputs does
	done := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
	}
	queue, err := pipeline.Open(pipeline.Options{Dir: dir + "/queue", Registerer: d})
	done("queue", err)
	done("queue", queue.Close())
	tail.NewMetrics(d)
	_, err = elasticsearch.New(elasticsearch.Options{URLs: []string{"http://127.0.0.1:1"}, StateDir: dir, Registerer: named})
	done("elasticsearch", err)
	_, err = otlpexporter.New(otlpexporter.Options{URL: "http://127.0.0.1:1", Registerer: named})
	done("otlp", err)
	_, err = remoteexporter.New(&promconfig.RemoteWriteConfig{
		URL: &config_util.URL{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}, ProtobufMessage: "prometheus.WriteRequest",
		RemoteTimeout: model.Duration(time.Second), QueueConfig: promconfig.DefaultQueueConfig,
	}, remoteexporter.Options{Registerer: named})
	done("remote-write", err)
	s, err := store.Open(store.Options{Dir: dir + "/store", Registerer: d})
	done("store", err)
	done("store", s.Close())
	otlp.New(nil, otlp.Options{Registerer: d})
	remotewrite.New(nil, remotewrite.Options{Registerer: d})
	_, err = scrape.New(scrape.Options{Registerer: d})
	done("scrape", err)
	d.MustRegister(traces.NewRED(traces.Options{}).Self())
	correlate.NewLogCounts(correlate.LogCountsOptions{Registerer: d})
	rules, err := correlate.NewRules(correlate.Rule{Kind: correlate.RuleAny, Rules: []correlate.Rule{{Kind: correlate.RuleError, Name: "e"}}})
	done("rules", err)
	verdicts, err := correlate.OpenVerdicts(correlate.VerdictsOptions{Dir: dir + "/verdicts", Wait: time.Second, Late: time.Minute, Registerer: d})
	done("verdicts", err)
	defer verdicts.Close()
	index := correlate.NewIndex(correlate.IndexOptions{Rules: rules, Wait: time.Second, Late: time.Minute, Registerer: d})
	correlate.NewDecider(correlate.DeciderOptions{Index: index, Verdicts: verdicts, Registerer: d})
	correlate.NewExemplars(correlate.ExemplarsOptions{Registerer: named, Wait: time.Second, Late: time.Minute})
	cert, key := listentest.NewCA(t).WriteServer(dir)
	l, err := listen.Open(listen.Config{Address: "127.0.0.1:0", TLS: &listen.TLS{CertFile: cert, KeyFile: key}}, listen.Options{Name: "web", Registerer: d})
	done("listen", err)
	defer l.Close()
	run.NewReloader(d, slog.New(slog.DiscardHandler))
	families, err := run.NewRegistry("x").Gather()
	done("process", err)
	for _, f := range families {
		d[f.GetName()] = nil
		for _, label := range f.GetMetric()[0].GetLabel() {
			d[f.GetName()] = append(d[f.GetName()], label.GetName())
		}
	}
	return d
}

// Every metric and label that the doctor reads, and those of braid top containers, is one that some part registers.
func TestDoctorReadsWhatBraidExports(t *testing.T) {
	described := describeAll(t)
	read := diagnose.Metrics()
	read[containerLines] = []string{"namespace", "pod", "container", "severity"}
	read[containerBytes] = []string{"namespace", "pod", "container"}
	for name, labels := range read {
		known, ok := described[name]
		if !ok {
			t.Errorf("no part of braid registers %s", name)
			continue
		}
		for _, label := range labels {
			if !slices.Contains(known, label) {
				t.Errorf("%s has no label %s, but %q", name, label, known)
			}
		}
	}
}
