package dashboards_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What a user may have chosen: one workload, or everything where that is offered.
var (
	one     = values{"cluster": "demo", "namespace": "shop", "workload": "checkout", "pod": "checkout-", "service": "checkout"}
	choices = map[string]values{"all": {}, "one": one}
)

// Every query of every dashboard, sent as Grafana sends it, is answered with rows on a running demo; so are the variables,
// and where they lead the links are not dead.
func TestDashboardsShowTheDemo(t *testing.T) {
	s := open(t)
	attempts := map[string]func() error{}
	for _, d := range dashboards(t) {
		for name, chosen := range choices {
			v := s.choose(t, d, chosen)
			for _, p := range d.Panels {
				for i, q := range p.Targets {
					where := fmt.Sprintf("%s: %s %c, for %s", d.file, p.Title, 'A'+i, name)
					attempts[where] = func() error { return s.ask(t, q, v) }
				}
			}
		}
	}
	if len(attempts) < 200 {
		t.Errorf("%d queries: not looking at all of them", len(attempts))
	}
	eventually(t, attempts)
	if t.Failed() {
		return
	}
	t.Run("names", func(t *testing.T) { s.namesExist(t) })
	t.Run("alerts", func(t *testing.T) { s.firesNothing(t) })
	t.Run("links", func(t *testing.T) { s.linksHold(t) })
}

// choose gives every variable of a dashboard a value: what is chosen, or else what the dashboard opens with.
func (s *site) choose(t *testing.T, d dashboard, chosen values) values {
	t.Helper()
	v := maps.Clone(builtin)
	for _, x := range d.Templating.List {
		switch x.Type {
		case "textbox":
			v[x.Name] = x.Current.Value
		case "query":
			var options []string
			eventually(t, map[string]func() error{d.file + ": $" + x.Name: func() (err error) {
				options, err = s.options(t, x, v)
				return err
			}})
			if t.Failed() {
				t.FailNow()
			}
			v[x.Name] = pick(t, x, options, chosen[x.Name])
		}
	}
	return v
}

// pick returns what is meant by all, or what is chosen: of names that end in a dash the rest is anything.
func pick(t *testing.T, x variable, options []string, chosen string) string {
	t.Helper()
	switch {
	case chosen != "":
	case x.AllValue != "":
		return x.AllValue
	case x.IncludeAll:
		return "(" + strings.Join(options, "|") + ")"
	default:
		chosen = one[x.Name]
	}
	i := slices.IndexFunc(options, func(o string) bool {
		return o == chosen || strings.HasSuffix(chosen, "-") && strings.HasPrefix(o, chosen)
	})
	if i < 0 {
		t.Fatalf("$%s offers no %s: %v", x.Name, chosen, options)
	}
	return options[i]
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// options are what a variable offers, found as Grafana finds them.
func (s *site) options(t *testing.T, x variable, v values) ([]string, error) {
	var query struct{ Query string }
	if err := json.Unmarshal(x.Query, &query); err != nil {
		return nil, err
	}
	call := labelValues.FindStringSubmatch(query.Query)
	if call == nil {
		return nil, fmt.Errorf("%q is not label_values", query.Query)
	}
	var answer struct{ Data []string }
	err := get(t, s.api+"/api/v1/label/"+call[2]+"/values", url.Values{"match[]": {v.in(call[1])}}, &answer)
	if err != nil {
		return nil, err
	}
	var options []string
	part := regexp.MustCompile(strings.Trim(x.Regex, "/"))
	for _, value := range answer.Data {
		if x.Regex != "" {
			value = part.FindStringSubmatch(value)[1]
		}
		if !slices.Contains(options, value) {
			options = append(options, value)
		}
	}
	want := map[string]int{"workload": 5, "job": 2, "instance": 2}
	if len(options) < max(1, want[x.Name]) {
		return nil, fmt.Errorf("%v are all", options)
	}
	return options, nil
}

// ask sends a query; without rows it is an error.
func (s *site) ask(t *testing.T, q target, v values) error {
	switch q.Datasource.Type {
	case "prometheus":
		rows, err := s.promql(t, v.in(q.Expr), q.Instant)
		if err == nil && rows == 0 {
			err = fmt.Errorf("no rows: %s", v.in(q.Expr))
		}
		return err
	case "elasticsearch":
		if q.Query == `trace.id:"$trace_id"` { // nothing is chosen when the dashboard opens
			if hits, err := s.lines(t, q, v); err != nil || len(hits) > 0 {
				return fmt.Errorf("lines of no trace: %d, %w", len(hits), err)
			}
			v = maps.Clone(v)
			v["trace_id"] = "*"
			q.Query = `trace.id:$trace_id`
		}
		hits, err := s.lines(t, q, v)
		if err == nil && len(hits) == 0 {
			err = fmt.Errorf("no lines: %s", v.in(q.Query))
		}
		return err
	case "jaeger":
		if q.QueryType == "" && q.Query == "$trace_id" {
			return nil // see linksHold
		}
		traces, err := s.traces(t, q, v)
		if err == nil && len(traces) == 0 {
			err = fmt.Errorf("no traces of %s", v.in(q.Service))
		}
		return err
	}
	return fmt.Errorf("data source %q", q.Datasource.Type)
}

// promql returns how many series a query is answered with that have a value.
func (s *site) promql(t *testing.T, expr string, instant bool) (rows int, err error) {
	var answer struct {
		Data struct {
			Result []struct {
				Value  [2]any
				Values [][2]any
			}
		}
	}
	now := time.Now()
	parameters, path := url.Values{"query": {expr}}, "/api/v1/query"
	if !instant {
		path = "/api/v1/query_range"
		parameters.Set("start", strconv.FormatInt(now.Add(-5*time.Minute).Unix(), 10))
		parameters.Set("end", strconv.FormatInt(now.Unix(), 10))
		parameters.Set("step", "5")
	}
	if err := get(t, s.api+path, parameters, &answer); err != nil {
		return 0, err
	}
	for _, r := range answer.Data.Result {
		if slices.ContainsFunc(append(r.Values, r.Value), func(v [2]any) bool { return v[1] != nil && v[1] != "NaN" }) {
			rows++
		}
	}
	return rows, nil
}

// A line is what Elasticsearch has of one, or a bucket of lines.
type line struct {
	Source struct {
		Trace struct{ ID string } `json:"trace"`
		Log   struct{ Level string }
	} `json:"_source"`
}

// lines runs a query of Grafana's data source for Elasticsearch: Lucene, and buckets.
func (s *site) lines(t *testing.T, q target, v values) ([]line, error) {
	now := time.Now()
	search := map[string]any{
		"size": 500, "sort": []any{map[string]any{q.TimeField: map[string]any{"order": "desc", "unmapped_type": "boolean"}}},
		"query": map[string]any{"bool": map[string]any{"filter": []any{
			map[string]any{"range": map[string]any{q.TimeField: map[string]any{
				"gte": now.Add(-time.Hour).UnixMilli(), "lte": now.UnixMilli(), "format": "epoch_millis",
			}}},
			map[string]any{"query_string": map[string]any{"analyze_wildcard": true, "query": v.in(q.Query)}},
		}}},
	}
	buckets := search
	for _, b := range q.BucketAggs {
		of := map[string]any{"field": b.Field}
		switch b.Type {
		case "terms":
			size, err := strconv.Atoi(b.Settings["size"])
			if err != nil {
				return nil, err
			}
			of["size"], of["order"] = size, map[string]any{b.Settings["orderBy"]: b.Settings["order"]}
		case "date_histogram":
			of["fixed_interval"] = "10s"
		default:
			return nil, fmt.Errorf("buckets by %s", b.Type)
		}
		inner := map[string]any{b.Type: of}
		buckets["aggs"] = map[string]any{b.ID: inner}
		buckets = inner
	}
	if len(q.BucketAggs) > 0 {
		search["size"] = 0
	}
	return s.search(t, search, q)
}

func (s *site) search(t *testing.T, search map[string]any, q target) ([]line, error) {
	body, err := json.Marshal(search)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.es+"/"+s.stream+"/_search", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	var answer struct {
		Hits         struct{ Hits []line }
		Aggregations map[string]struct{ Buckets []json.RawMessage }
	}
	if err := ask(req, &answer); err != nil {
		return nil, err
	}
	if len(q.BucketAggs) > 0 {
		return make([]line, len(answer.Aggregations[q.BucketAggs[0].ID].Buckets)), nil
	}
	return answer.Hits.Hits, nil
}

// traces runs a search of Grafana's data source for Jaeger, and returns the ids.
func (s *site) traces(t *testing.T, q target, v values) (ids []string, err error) {
	now := time.Now()
	parameters := url.Values{
		"service": {v.in(q.Service)}, "limit": {strconv.Itoa(q.Limit)}, "lookback": {"custom"},
		"start": {strconv.FormatInt(now.Add(-time.Hour).UnixMicro(), 10)}, "end": {strconv.FormatInt(now.UnixMicro(), 10)},
	}
	if min := v.in(q.MinDuration); min != "" {
		parameters.Set("minDuration", min)
	}
	if key, value, found := strings.Cut(q.Tags, "="); found { // logfmt, which Grafana makes JSON
		parameters.Set("tags", fmt.Sprintf("{%q:%q}", key, value))
	}
	var answer struct {
		Data []struct {
			TraceID string
			Spans   []any
		}
	}
	if err := get(t, s.api+"/jaeger/api/traces", parameters, &answer); err != nil {
		return nil, err
	}
	for _, x := range answer.Data {
		if len(x.Spans) == 0 {
			return nil, errors.New("a trace without spans")
		}
		ids = append(ids, x.TraceID)
	}
	return ids, nil
}
