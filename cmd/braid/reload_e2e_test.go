package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A hundred reloads of the aggregator and the agent under load, ten of them with a configuration that is refused: no line
// and no span is lost or stored twice, no connection is refused, and what is refused changes nothing.
func TestReloadsLoseNothing(t *testing.T) {
	s := seed(t)
	tree := newShelf(filepath.Join(t.TempDir(), "pods"), s)
	p := newPipeline(t, tree.root, "  - name: local\n    store: {}\n")
	aggregatorText, agentText := readFile(t, p.aggregatorConfig), readFile(t, p.agentConfig)
	agent, aggregator := p.startAgent(t, ""), p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	agent.waitReady(t, p.agentWeb)
	spans := &spanSender{url: "http://" + p.aggregatorHTTP + "/v1/traces", r: rand.New(rand.NewPCG(s, 99))}
	l := startLoad(t, tree, spans)
	defer l.end()
	probe := startProbe(t, p.aggregatorHTTP, p.agentHTTP, p.aggregatorWeb, p.agentWeb)

	for i := range 100 {
		if i%10 == 9 {
			p.refuse(t, i, aggregatorText, agentText)
			continue
		}
		// Exporters come, change and go, sampling is switched, what is scraped and where from changes.
		writeFile(t, p.aggregatorConfig, aggregatorText+[]string{
			"",
			"  - name: away\n    optional: true\n    remote_write: {url: \"http://127.0.0.1:1/api/v1/write\"}\n",
			"sampling: {wait: 200ms, keep: [{name: all, type: always}]}\n",
			"span_metrics: {interval: 1s}\n",
		}[i%4])
		writeFile(t, p.agentConfig, agentText+[]string{
			"", fmt.Sprintf("scrape_configs: [{job_name: a, static_configs: [{targets: [%q]}]}]\n", p.agentWeb),
		}[i%2])
		if i%3 == 0 {
			hangUp(t, agent, p.agentWeb)
		} else if status, text := reload(t, p.agentWeb); status != http.StatusOK {
			t.Fatalf("reload %d of the agent: %d %s", i, status, text)
		}
		if status, text := reload(t, p.aggregatorWeb); status != http.StatusOK {
			t.Fatalf("reload %d of the aggregator: %d %s\n%s", i, status, text, aggregator.tail())
		}
	}
	writeFile(t, p.aggregatorConfig, aggregatorText)
	if status, text := reload(t, p.aggregatorWeb); status != http.StatusOK {
		t.Fatal(status, text)
	}
	l.end()
	if failed := probe(); failed > 0 {
		t.Errorf("%d connections were refused", failed)
	}
	p.checkStore(t, tree)
	eventually(t, "every span is counted", func() (bool, error) {
		page, err := get("http://" + p.aggregatorWeb + "/metrics/spans")
		n := metric(page, "traces_spanmetrics_calls_total")
		return int(n) >= spans.sent, fmt.Errorf("%v of %d: %w", n, spans.sent, err)
	})
	page, err := get("http://" + p.aggregatorWeb + "/metrics/spans")
	if n := metric(page, "traces_spanmetrics_calls_total"); err != nil || int(n) != spans.sent {
		t.Errorf("%v spans are counted of %d (%v)", n, spans.sent, err)
	}
	page, err = get("http://" + p.aggregatorWeb + "/metrics")
	if n := metric(page, "braid_log_records_total"); err != nil || int(n) != tree.written() {
		t.Errorf("%v lines are counted of %d (%v)", n, tree.written(), err)
	}
	agent.stop(t)
	aggregator.stop(t)
}

// refuse reloads configurations that cannot be used.
func (p *pipelineUnderTest) refuse(t *testing.T, i int, aggregatorText, agentText string) {
	t.Helper()
	for _, c := range []struct{ file, web, text, says string }{
		{p.aggregatorConfig, p.aggregatorWeb, aggregatorText + "colour: red\n", "unknown key \"colour\""},
		{p.aggregatorConfig, p.aggregatorWeb, strings.Replace(aggregatorText, "data_dir: ", "data_dir: /else", 1), "data_dir changed"},
		{p.aggregatorConfig, p.aggregatorWeb, aggregatorText + "span_metrics: {dimensions: [service]}\n", "dimension"},
		{p.agentConfig, p.agentWeb, agentText + "scrape_configs: [{job_name: a}, {job_name: a}]\n", "job"},
		{p.agentConfig, p.agentWeb, strings.Replace(agentText, p.logs, p.logs+"/none", 1), "cannot follow logs"},
	} {
		writeFile(t, c.file, c.text)
		if status, text := reload(t, c.web); status != http.StatusInternalServerError || !strings.Contains(text, c.says) {
			t.Errorf("reload %d is answered %d %s, and %q is expected", i, status, text, c.says)
		}
		page, err := get("http://" + c.web + "/metrics")
		if n := metric(page, "braid_config_last_reload_successful"); err != nil || n != 0 {
			t.Errorf("a reload that failed counts as %v, %v", n, err)
		}
	}
	writeFile(t, p.aggregatorConfig, aggregatorText)
	writeFile(t, p.agentConfig, agentText)
}

func reload(t *testing.T, web string) (int, string) {
	t.Helper()
	resp, err := http.Post("http://"+web+"/-/reload", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// hangUp sends SIGHUP and waits until the configuration is in use.
func hangUp(t *testing.T, p *process, web string) {
	t.Helper()
	const when = "braid_config_last_reload_success_timestamp_seconds"
	page, err := get("http://" + web + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	before := metric(page, when)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a reload by SIGHUP", func() (bool, error) {
		page, err := get("http://" + web + "/metrics")
		return metric(page, when) > before, err
	})
}

// startProbe opens a new connection to each address again and again; what it returns stops that and says how many failed.
func startProbe(t *testing.T, addresses ...string) func() int64 {
	t.Helper()
	var failed atomic.Int64
	stop := make(chan struct{})
	var probes sync.WaitGroup
	for _, a := range addresses {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		probes.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				resp, err := client.Post("http://"+a+"/v1/logs", "application/x-protobuf", bytes.NewReader(nil))
				if err != nil {
					failed.Add(1)
					t.Logf("%s: %v", a, err)
					continue
				}
				resp.Body.Close()
			}
		})
	}
	return func() int64 {
		close(stop)
		probes.Wait()
		return failed.Load()
	}
}
