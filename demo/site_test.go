package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"

	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/demo/reckon"
)

func TestConfigurationsAreWhatBraidReads(t *testing.T) {
	s, err := newSite(filepath.Join(t.TempDir(), "a dir: with \"quotes\""), true)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := config.LoadAgent(s.path("agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if agent.Logs[0].Path != s.pods() || agent.Aggregator.URL != "http://"+s.aggregatorHTTP || agent.DataDir != s.path("data", "agent") {
		t.Errorf("agent: %+v", agent)
	}
	if n := len(agent.Prometheus.ScrapeConfigs); n != 2 {
		t.Errorf("%d scrape jobs", n)
	}
	aggregator, err := config.LoadAggregator(s.path("aggregator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	sampling := aggregator.Sampling
	if sampling == nil || sampling.Wait != config.Duration(sampleWait) || sampling.Late != config.Duration(sampleLate) {
		t.Fatalf("aggregator: %+v", sampling)
	}
	keep := sampling.Keep
	if len(keep) != 3 || keep[0].Type != "error" || keep[1].Above != config.Duration(sampleSlow) || keep[2].Probability != sampleShare {
		t.Errorf("keep: %+v", keep)
	}
	made, scraped := model.Duration(aggregator.SpanMetrics.Interval), agent.Prometheus.GlobalConfig.ScrapeInterval
	if made != scraped {
		t.Errorf("span metrics each %s, scrapes each %s", made, scraped)
	}
}

func TestSiteIsTidy(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := newSite("", false)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, address := range []string{s.agentHTTP, s.agentGRPC, s.agentWeb, s.aggregatorHTTP, s.aggregatorGRPC, s.aggregatorWeb} {
		seen[address] = true
	}
	for _, self := range s.topology.Services {
		seen[self.Address] = true
		if len(strings.Split(self.PodUID, "-")) != 5 || len(self.PodUID) != 36 || self.Ledger != "" {
			t.Errorf("%+v", self)
		}
	}
	if len(seen) != 11 {
		t.Errorf("addresses: %v", seen)
	}
	s.remove()
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("the directory is still there")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestATraceIsShownWhenItIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &load{badTrace: "bad"}
		start := time.Now()
		spans := func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			switch passed := time.Since(start); {
			case r.URL.Path != "/api/v1/traces/bad" || passed < 2*time.Second:
				w.WriteHeader(http.StatusNotFound)
			case passed < 2500*time.Millisecond:
				fmt.Fprint(w, `{"spans":[{}]}`)
			case passed < 2700*time.Millisecond:
				w.WriteHeader(http.StatusInternalServerError)
			default:
				fmt.Fprint(w, `{"spans":[{},{}]}`)
			}
			return w.Result(), nil
		}
		api := &reckon.API{Base: "http://shelf", Client: &http.Client{Transport: roundTripper(spans)}}
		if id := waitForErrorTrace(t.Context(), l, api); id != "bad" {
			t.Errorf("got %q", id)
		}
		if took := time.Since(start); took < 3700*time.Millisecond || took > 4*time.Second {
			t.Errorf("shown after %s", took)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if id := waitForErrorTrace(impatient, l, api); id != "bad" || time.Since(start) != time.Second {
			t.Errorf("got %q after %s", id, time.Since(start))
		}
	})
}

func TestAnnouncement(t *testing.T) {
	s := &site{dir: "/d", agentWeb: "a:1", aggregatorWeb: "a:2"}
	var b strings.Builder
	s.announce(&b, "/opt/braid", "0123456789abcdef0123456789abcdef")
	for _, want := range []string{
		"\n  /opt/braid logs --server http://a:2 -n shop -f", "\n  /opt/braid trace --server http://a:2 0123456789abcdef0123456789abcdef",
		"\n  curl ", "\nSampling keeps traces with an error or a span over 500ms, ", "and 10 %\nof the others", "\n  /opt/braid check /d/agent.yaml",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if n := len(s.commands("b", "s", "t")); n != 5 {
		t.Errorf("%d commands", n)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(here, "bin", "braid"): "bin/braid", filepath.Join(here, "braid"): "./braid", "/opt/braid": "/opt/braid",
	} {
		if got := shown(path); got != want {
			t.Errorf("%s is shown as %s", path, got)
		}
	}
}
