package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// How the demo is sized.
const (
	scrapeInterval = "2s" // and that of the metrics that are made of spans
	maxLogBytes    = 64 << 10
	maxLogFiles    = 5
	rotateEvery    = 2 * time.Second
)

// How it samples traces. The wait is short, so that what one looks for is soon there; nothing in the shop takes that long.
const (
	sampleWait  = 2 * time.Second
	sampleLate  = time.Minute
	sampleSlow  = 500 * time.Millisecond
	sampleShare = 0.1
)

// agentConfig is what `braid agent` is started with.
func (s *site) agentConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The demo's node agent: tails the pods' logs, scrapes, and takes the services' spans.
cluster: %s
node: %s
data_dir: %q
aggregator:
  url: http://%s
logs:
  - path: %q
    format: cri
receivers:
  http: %s
  grpc: %s
web:
  listen: %s
global:
  scrape_interval: %s
  scrape_timeout: %s
scrape_configs:
  - job_name: %s
    static_configs:
`, clusterName, nodeName, s.path("data", "agent"), s.aggregatorHTTP, s.pods(), s.agentHTTP, s.agentGRPC, s.agentWeb,
		scrapeInterval, scrapeInterval, shopJob)
	for _, self := range s.topology.Services {
		fmt.Fprintf(&b, "      - targets: [%q]\n", self.Address)
		fmt.Fprintf(&b, "        labels: {cluster: %s, node: %s, namespace: %s, pod: %s, container: %s, service: %s}\n",
			clusterName, nodeName, namespace, self.Pod, self.Name, self.Name)
	}
	fmt.Fprintf(&b, "  - job_name: braid\n    static_configs:\n")
	for _, braid := range [][2]string{{s.agentWeb, "braid-agent"}, {s.aggregatorWeb, "braid-aggregator"}} {
		fmt.Fprintf(&b, "      - targets: [%q]\n", braid[0])
		fmt.Fprintf(&b, "        labels: {cluster: %s, node: %s, service: %s}\n", clusterName, nodeName, braid[1])
	}
	return b.String()
}

// aggregatorConfig is what `braid aggregator` is started with.
func (s *site) aggregatorConfig() string {
	return fmt.Sprintf(`# The demo's aggregator, on the embedded store. Error lines and scraped exemplars keep their trace, too.
cluster: %s
data_dir: %q
receivers:
  http: %s
  grpc: %s
exporters:
  - name: local
    store: {retention: 24h}
sampling:
  wait: %s
  late: %s
  keep:
    - {name: errors, type: error}
    - {name: slow, type: slow, above: %s}
    - {name: some, type: share, probability: %g}
span_metrics:
  interval: %s
web:
  listen: %s
`, clusterName, s.path("data", "aggregator"), s.aggregatorHTTP, s.aggregatorGRPC,
		model.Duration(sampleWait), model.Duration(sampleLate), model.Duration(sampleSlow), sampleShare, scrapeInterval, s.aggregatorWeb)
}
