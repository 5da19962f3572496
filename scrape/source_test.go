package scrape

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/teststorage"
)

func newSource(t *testing.T, cfg *config.Config, reg prometheus.Registerer) *Source {
	t.Helper()
	s, err := New(Options{Configs: cfg.ScrapeConfigs, Global: cfg.GlobalConfig, DiscoveryInterval: time.Second, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func has(what string, stale bool) func([]teststorage.Sample) bool {
	return func(samples []teststorage.Sample) bool {
		for _, s := range samples {
			if name(s) == what && isStale(s) == stale {
				return true
			}
		}
		return false
	}
}

func forever(body string) []page {
	pages := make([]page, 10_000)
	for i := range pages {
		pages[i] = page{0, plainText, body}
	}
	return pages
}

// writeTargets replaces file, which file_sd_configs read.
func writeTargets(t *testing.T, file, json string) {
	t.Helper()
	if err := os.WriteFile(file+".tmp", []byte(json), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		t.Fatal(err)
	}
}

func TestATargetThatGoesEndsWithStalenessMarkers(t *testing.T) {
	tg := newTarget(t, forever("a 1\n"))
	file := filepath.Join(t.TempDir(), "targets.json")
	writeTargets(t, file, `[{"targets": ["`+tg.Listener.Addr().String()+`"], "labels": {"from": "file"}}]`)
	cfg := parse(t, "127.0.0.1:1", "  file_sd_configs: [{files: ["+file+"]}]\n")
	s, k := newSource(t, cfg, nil), newKeeper()
	stop := start(t, s, k)
	fromFile := func(what string, stale bool) func([]teststorage.Sample) bool {
		return func(samples []teststorage.Sample) bool {
			return slices.ContainsFunc(samples, func(s teststorage.Sample) bool {
				return name(s) == what && isStale(s) == stale && s.L.Get("from") == "file"
			})
		}
	}
	k.await(t, fromFile("a", false))
	writeTargets(t, file, `[]`)
	k.await(t, fromFile("a", true))
	k.await(t, fromFile("up", true))
	writeTargets(t, file, `[{"targets": ["`+tg.Listener.Addr().String()+`"], "labels": {"from": "file", "again": "yes"}}]`)
	again := func(stale bool) func([]teststorage.Sample) bool {
		return func(samples []teststorage.Sample) bool {
			return slices.ContainsFunc(samples, func(s teststorage.Sample) bool {
				return name(s) == "a" && isStale(s) == stale && s.L.Get("again") == "yes"
			})
		}
	}
	k.await(t, again(false))
	stop()
	if again(true)(k.all()) {
		t.Error("the end of the run left staleness markers")
	}
}

func TestApplyConfig(t *testing.T) {
	tg := newTarget(t, forever("a 1\n"))
	cfg := parse(t, tg.Listener.Addr().String(), "")
	s, k := newSource(t, cfg, nil), newKeeper()
	start(t, s, k)
	k.await(t, has("a", false))
	other := parse(t, tg.Listener.Addr().String(), "  metric_relabel_configs: [{target_label: __name__, replacement: b}]\n")
	other.GlobalConfig.ExternalLabels = labels.FromStrings("cluster", "demo")
	if err := s.ApplyConfig(other.GlobalConfig, other.ScrapeConfigs); err != nil {
		t.Fatal(err)
	}
	k.await(t, func(samples []teststorage.Sample) bool {
		return slices.ContainsFunc(samples, func(s teststorage.Sample) bool { return name(s) == "b" && s.L.Get("cluster") == "demo" })
	})
	if err := s.ApplyConfig(cfg.GlobalConfig, append(cfg.ScrapeConfigs, cfg.ScrapeConfigs...)); err == nil {
		t.Error("took the same job twice")
	}
}

func TestAScrapeThatCannotBeStoredIsDroppedAndCounted(t *testing.T) {
	tg := newTarget(t, []page{{0, plainText, "a 1\nb 2\n"}})
	reg := prometheus.NewRegistry()
	k := newKeeper()
	k.err = errors.New("the lane is full")
	s := newSource(t, parse(t, tg.Listener.Addr().String(), ""), reg)
	stop := start(t, s, k)
	tg.awaitPast(t)
	stop()
	if n := testutil.ToFloat64(s.metrics.dropped); n < 7 {
		t.Errorf("%v samples were dropped, want 7 or more", n)
	}
	if n := testutil.ToFloat64(s.metrics.samples); n != 0 {
		t.Errorf("%v samples were stored", n)
	}
}

// All of a run's metrics go with it, or it could not run again.
func TestRunsAgain(t *testing.T) {
	tg := newTarget(t, forever("a 1\n"))
	s := newSource(t, parse(t, tg.Listener.Addr().String(), ""), prometheus.NewRegistry())
	for range 2 {
		k := newKeeper()
		stop := start(t, s, k)
		k.await(t, has("a", false))
		stop()
	}
}

func TestExternalLabels(t *testing.T) {
	tg := newTarget(t, forever("a{replica=\"own\"} 1\n"))
	cfg := parse(t, tg.Listener.Addr().String(), "")
	cfg.GlobalConfig.ExternalLabels = labels.FromStrings("cluster", "demo", "replica", "theirs")
	k := newKeeper()
	start(t, newSource(t, cfg, nil), k)
	for _, s := range k.await(t, has("scrape_series_added", false)) {
		replica := map[bool]string{true: "own", false: "theirs"}[name(s) == "a"]
		if s.L.Get("cluster") != "demo" || s.L.Get("replica") != replica {
			t.Errorf("%s", s.L)
		}
	}
}

func TestBadConfigs(t *testing.T) {
	cfg := parse(t, "127.0.0.1:1", "")
	twice := append(cfg.ScrapeConfigs, cfg.ScrapeConfigs...)
	if _, err := New(Options{Configs: twice, Global: cfg.GlobalConfig}); err == nil || !strings.Contains(err.Error(), `"job" is there twice`) {
		t.Errorf("twice the same job: %v", err)
	}
	if _, err := New(Options{Configs: []*config.ScrapeConfig{nil}}); err == nil {
		t.Error("took a nil config")
	}
	if _, err := New(Options{Configs: cfg.ScrapeConfigs}); err != nil {
		t.Errorf("without global: %v", err)
	}
}
