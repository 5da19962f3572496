package aggregator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/braidhq/braid/cmd/internal/run"
)

// A row asks one endpoint one thing. want are the statuses for nobody, jane, root, grafana and scraper; shows is what root
// is shown of it, as a proof that there is something to hide.
type row struct {
	pattern, target string
	want            [5]int
	shows           string
}

var (
	records = [5]int{403, 200, 200, 403, 403}
	samples = [5]int{403, 403, 200, 200, 403}
	paths   = [5]int{403, 403, 403, 403, 200}
	open    = [5]int{200, 200, 200, 200, 200}
	known   = [5]int{404, 404, 404, 404, 404} // that there is no such endpoint
)

func rows() []row {
	all := []row{
		{"GET /api/v1/logs", "/api/v1/logs", records, "void line"},
		{"GET /api/v1/logs", "/api/v1/logs?namespace=shop", records, "shop line"},
		{"GET /api/v1/logs", "/api/v1/logs?namespace=pay", [5]int{403, 403, 200, 403, 403}, "pay line"},
		{"GET /api/v1/logs", "/api/v1/logs?namespace=pay&pod=paypod&tail=1", [5]int{403, 403, 200, 403, 403}, "pay line"},
		{"GET /api/v1/logs", "/api/v1/logs?namespace=none", [5]int{403, 403, 200, 403, 403}, ""},
		{"GET /api/v1/logs", "/api/v1/logs?tail=1", records, "void line 3"},
		{"GET /api/v1/logs", "/api/v1/logs?limit=3", records, "line 0"},
		{"GET /api/v1/logs", "/api/v1/logs?trace_id=" + sharedID.String(), records, "pay line 2"},
		{"GET /api/v1/logs", "/api/v1/logs?trace_id=" + payID.String(), records, "pay line 3"},
		{"GET /api/v1/logs", "/api/v1/logs?previous=true", records, ""},
		{"GET /api/v1/logs", "/api/v1/logs?severity=error&text=line", records, "pay line"},
		{"GET /api/v1/logs", "/api/v1/logs?follow=true&limit=4", records, "pay line"},
		{"GET /api/v1/logs", "/api/v1/logs?follow=true&limit=4&namespace=pay", [5]int{403, 403, 200, 403, 403}, "pay line"},
		{"GET /api/v1/logs", "/api/v1/logs?colour=red", [5]int{400, 400, 400, 400, 400}, ""},
		{"GET /api/v1/traces/{id}", "/api/v1/traces/" + sharedID.String(), [5]int{404, 200, 200, 404, 404}, "payop"},
		{"GET /api/v1/traces/{id}", "/api/v1/traces/" + shopID.String(), [5]int{404, 200, 200, 404, 404}, "shopop"},
		{"GET /api/v1/traces/{id}", "/api/v1/traces/" + payID.String(), [5]int{404, 404, 200, 404, 404}, "payop"},
		{"GET /api/v1/traces/{id}", "/api/v1/traces/" + voidID.String(), [5]int{404, 404, 200, 404, 404}, "voidop"},
		{"GET /api/v1/traces/{id}", "/api/v1/traces/ff000000000000000000000000000000", [5]int{404, 404, 404, 404, 404}, ""},
		{"GET /api/v1/label/{name}/values", "/api/v1/label/namespace/values", samples, "pay"},
		{"GET /api/v1/metadata", "/api/v1/metadata", samples, ""},
		{"GET /jaeger/api/services", "/jaeger/api/services", records, "paysvc"},
		{"GET /jaeger/api/services/{service}/operations", "/jaeger/api/services/paysvc/operations", records, "payop"},
		{"GET /jaeger/api/services/{service}/operations", "/jaeger/api/services/shopsvc/operations", records, "shopop"},
		{"GET /jaeger/api/operations", "/jaeger/api/operations?service=voidsvc", records, "voidop"},
		{"GET /jaeger/api/traces", "/jaeger/api/traces", records, "payvalue"},
		{"GET /jaeger/api/traces", "/jaeger/api/traces?service=paysvc", records, "payop"},
		{"GET /jaeger/api/traces", "/jaeger/api/traces?operation=payop&tags=%7B%22payattr%22%3A%22payvalue%22%7D", records, "payop"},
		{"GET /jaeger/api/traces", "/jaeger/api/traces?traceID=" + payID.String() + "&traceID=" + sharedID.String(), open, "payop"},
		{"GET /jaeger/api/traces/{id}", "/jaeger/api/traces/" + sharedID.String(), [5]int{404, 200, 200, 404, 404}, "payop"},
		{"GET /jaeger/api/traces/{id}", "/jaeger/api/traces/" + payID.String(), [5]int{404, 404, 200, 404, 404}, "payop"},
		{"GET /jaeger/api/dependencies", "/jaeger/api/dependencies", open, ""},
		{"/api/v1/", "/api/v1/nothing", known, ""},
		{"/jaeger/", "/jaeger/api/nothing", known, ""},
		{"GET /metrics", "/metrics", paths, ""},
		{"GET /metrics/spans", "/metrics/spans", paths, ""},
		{"GET /metrics", "/metrics/../metrics", [5]int{403, 403, 403, 403, 200}, ""},
		{"/debug/pprof/", "/debug/pprof/heap?debug=1", paths, ""},
		{"/debug/pprof/", "/debug/pprof/goroutine?debug=2", paths, ""},
		{"/debug/pprof/cmdline", "/debug/pprof/cmdline", paths, ""},
		{"/debug/pprof/profile", "/debug/pprof/profile?seconds=1", paths, ""},
		{"/debug/pprof/symbol", "/debug/pprof/symbol", paths, ""},
		{"/debug/pprof/trace", "/debug/pprof/trace?seconds=0.01", paths, ""},
		{"POST " + run.ReloadPath, run.ReloadPath, [5]int{403, 403, 403, 403, 403}, ""},
		{"GET " + run.HealthyPath, run.HealthyPath, open, ""},
		{"GET " + run.ReadyPath, run.ReadyPath, open, ""},
	}
	span := fmt.Sprintf("start=%d&end=%d", now.Unix()-60, now.Unix()+60)
	for _, method := range []string{"GET ", "POST "} {
		all = append(all,
			row{method + "/api/v1/query", "/api/v1/query?query=process_resident_memory_bytes", samples, "paypod"},
			row{method + "/api/v1/query", "/api/v1/query?query=sum(", [5]int{403, 403, 400, 400, 403}, ""},
			row{method + "/api/v1/query_range", "/api/v1/query_range?query=process_resident_memory_bytes&step=15&" + span, samples, "paypod"},
			row{method + "/api/v1/query_exemplars", "/api/v1/query_exemplars?query=process_resident_memory_bytes&" + span, samples, "paypod"},
			row{method + "/api/v1/series", "/api/v1/series?match[]=process_resident_memory_bytes", samples, "paypod"},
			row{method + "/api/v1/labels", "/api/v1/labels", samples, "namespace"},
		)
	}
	return all
}

// hidden are the words that an answer to a caller must not have: everything of a namespace is called by its name.
func hidden(caller string, r row, status int) []string {
	if caller == root || (status == http.StatusOK && slices.Contains([]string{grafana, scraper}, caller) && r.want != records && r.want != open) {
		return nil
	}
	words := []string{"pay", "void", "shop"}
	if caller == jane {
		words = words[:2]
	}
	return slices.DeleteFunc(words, func(word string) bool { return strings.Contains(r.target, word) && status != http.StatusOK })
}

// TestEveryEndpointForEveryCaller: whoever may not get pods/log in a namespace is shown nothing of it, whatever is asked.
func TestEveryEndpointForEveryCaller(t *testing.T) {
	w := newWeb(t)
	w.fill()
	all := rows()
	for _, pattern := range w.patterns {
		if !slices.ContainsFunc(all, func(r row) bool { return r.pattern == pattern }) {
			t.Errorf("no row asks the endpoint %q: say who may read it", pattern)
		}
	}
	for _, r := range all {
		if !slices.Contains(w.patterns, r.pattern) {
			t.Errorf("there is no endpoint %q", r.pattern)
		}
		method, _, ok := strings.Cut(r.pattern, " ")
		if !ok {
			method = http.MethodGet
		}
		for i, caller := range []string{nobody, jane, root, grafana, scraper} {
			status, text := w.ask(caller, method, r.target)
			if status != r.want[i] {
				t.Errorf("%s %s by %s: %d, want %d: %.300s", method, r.target, caller, status, r.want[i], text)
			}
			for _, word := range hidden(caller, r, status) {
				if strings.Contains(text, word) {
					t.Errorf("%s %s tells %s of %q: %s", method, r.target, caller, word, text)
				}
			}
			if caller == root && !strings.Contains(text, r.shows) {
				t.Errorf("%s %s does not show root %q: %.500s", method, r.target, r.shows, text)
			}
		}
		for name, token := range refused {
			status, text := w.ask(token, method, r.target)
			want := http.StatusUnauthorized
			if r.target == run.HealthyPath || r.target == run.ReadyPath {
				want = http.StatusOK
			}
			if status != want || strings.Contains(text, "shop") || strings.Contains(text, "pay") || strings.Contains(text, "braid-audience") {
				t.Errorf("%s %s with %s: %d, want %d: %.300s", method, r.target, name, status, want, text)
			}
		}
	}
}
