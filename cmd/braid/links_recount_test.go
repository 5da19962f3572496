package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A recounter reads what is stored, over the stores' own interfaces and by following links.
type recounter struct {
	plan *linkPlan
	from time.Time // nothing is older
}

func newShelved() *shelved {
	return &shelved{spans: map[telemetry.TraceID]map[telemetry.SpanID]int{}, lines: map[int]int{}, linked: map[telemetry.TraceID]map[int]telemetry.SpanID{}}
}

func (s *shelved) wonder(format string, args ...any) {
	s.odd = append(s.odd, fmt.Sprintf(format, args...))
}

func (s *shelved) addSpan(trace, span string) {
	var id telemetry.TraceID
	var of telemetry.SpanID
	if !readID(id[:], trace) || span != "" && !readID(of[:], span) {
		s.wonder("a span %q of trace %q", span, trace)
		return
	}
	if s.spans[id] == nil {
		s.spans[id] = map[telemetry.SpanID]int{}
	}
	s.spans[id][of]++
}

func (s *shelved) link(trace string, n int, span string) {
	var id telemetry.TraceID
	var of telemetry.SpanID
	if !readID(id[:], trace) || span != "" && !readID(of[:], span) {
		s.wonder("line %d of span %q of trace %q", n, span, trace)
		return
	}
	if s.linked[id] == nil {
		s.linked[id] = map[int]telemetry.SpanID{}
	}
	s.linked[id][n] = of
}

// elasticsearch reads every document of both data streams.
func (r *recounter) elasticsearch(t testing.TB, es elastic, lines, spans string) *shelved {
	s := newShelved()
	es.each(t, spans, `{"match_all":{}}`, func(d document) {
		var span struct{ Trace, Span struct{ ID string } }
		if err := json.Unmarshal(d.Source, &span); err != nil {
			t.Fatal(err)
		}
		s.addSpan(span.Trace.ID, span.Span.ID)
	})
	es.each(t, lines, `{"match_all":{}}`, func(d document) {
		var line struct {
			Message     string
			Trace, Span struct{ ID string }
		}
		if err := json.Unmarshal(d.Source, &line); err != nil {
			t.Fatal(err)
		}
		n, err := lineNumber(r.plan.run, line.Message)
		if err != nil {
			s.wonder("%v", err)
			return
		}
		s.lines[n]++
		if line.Trace.ID != "" {
			s.link(line.Trace.ID, n, line.Span.ID)
		}
	})
	return s
}

// store reads the embedded store through the aggregator: it lists the traces as Grafana does, opens every one of them
// as braid trace does, and reads all lines as braid logs does.
func (r *recounter) store(t testing.TB, web string) *shelved {
	s := newShelved()
	ids := map[string]bool{}
	r.list(t, web, r.from, time.Now().Add(time.Minute), ids)
	work := make(chan string)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for id := range work {
				if err := r.open(web, id, s, &mu); err != nil {
					mu.Lock()
					s.wonder("%v", err)
					mu.Unlock()
				}
			}
		})
	}
	for id := range ids {
		work <- id
	}
	close(work)
	workers.Wait()
	r.allLines(t, web, s)
	return s
}

// linkPage is the most traces that one search may answer with.
const linkPage = 1500

// list adds the ids of the traces that have a span that starts in [from, to].
func (r *recounter) list(t testing.TB, web string, from, to time.Time, ids map[string]bool) {
	body, err := get(fmt.Sprintf("http://%s/jaeger/api/traces?limit=%d&start=%d&end=%d", web, linkPage, from.UnixMicro(), to.UnixMicro()))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data []struct {
			TraceID  string
			Warnings []string
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	whole := len(answer.Data) < linkPage
	for _, d := range answer.Data {
		whole = whole && len(d.Warnings) == 0
		ids[d.TraceID] = true
	}
	if whole {
		return
	}
	middle := from.Add(to.Sub(from) / 2)
	if middle.UnixMicro() <= from.UnixMicro() {
		t.Fatalf("%d traces with a span at %s: there is no telling whether these are all", len(answer.Data), from)
	}
	r.list(t, web, from, middle, ids)
	r.list(t, web, middle, to, ids)
}

type lineFound struct {
	Body    string `json:"body"`
	TraceID string `json:"trace_id"`
	Error   string `json:"error"`
}

// open follows a trace id.
func (r *recounter) open(web, id string, s *shelved, mu *sync.Mutex) error {
	body, err := get("http://" + web + "/api/v1/traces/" + id)
	if err != nil {
		return err
	}
	var found struct {
		Spans []struct {
			SpanID string `json:"span_id"`
			Logs   []lineFound
		}
		Logs     []lineFound
		Warnings []string
	}
	if err := json.Unmarshal([]byte(body), &found); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	add := func(lines []lineFound, span string) {
		for _, l := range lines {
			n, err := lineNumber(r.plan.run, l.Body)
			if err != nil || l.TraceID != id {
				s.wonder("trace %s has a line of trace %s: %v", id, l.TraceID, err)
				continue
			}
			s.link(id, n, span)
		}
	}
	for _, span := range found.Spans {
		s.addSpan(id, span.SpanID)
		add(span.Logs, span.SpanID)
	}
	add(found.Logs, "")
	for _, w := range found.Warnings {
		s.wonder("trace %s: %s", id, w)
	}
	return nil
}

func (r *recounter) allLines(t testing.TB, web string, s *shelved) {
	resp, err := http.Get("http://" + web + "/api/v1/logs")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rows := bufio.NewScanner(resp.Body)
	rows.Buffer(nil, 1<<20)
	for rows.Scan() {
		var line lineFound
		if err := json.Unmarshal(rows.Bytes(), &line); err != nil || line.Error != "" {
			t.Fatalf("%v %s", err, line.Error)
		}
		n, err := lineNumber(r.plan.run, line.Body)
		if err != nil {
			s.wonder("%v", err)
			continue
		}
		s.lines[n]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// samples reads a store of samples over Prometheus' API.
func (r *recounter) samples(base string) (*samplesFound, error) {
	s := &samplesFound{}
	for _, label := range []string{"service", "client", "server"} {
		if err := r.exemplars(base, label, s); err != nil {
			return nil, err
		}
	}
	drops, err := r.sum(base, fmt.Sprintf(`sum(resets(traces_spanmetrics_calls_total{service=~"%s-.*"}[1h]))`, r.plan.run), "")
	s.drops = drops[""]
	return s, err
}

func (r *recounter) exemplars(base, label string, s *samplesFound) error {
	ask := url.Values{
		"query": {fmt.Sprintf(`{%s=~"%s-.*"}`, label, r.plan.run)},
		"start": {strconv.FormatInt(r.from.Unix()-60, 10)}, "end": {strconv.FormatInt(time.Now().Unix()+60, 10)},
	}
	body, err := get(base + "/api/v1/query_exemplars?" + ask.Encode())
	if err != nil {
		return err
	}
	var answer struct {
		Data []struct {
			SeriesLabels map[string]string
			Exemplars    []struct {
				Labels map[string]string
				Value  string
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return err
	}
	for _, d := range answer.Data {
		name := d.SeriesLabels["__name__"]
		for _, e := range d.Exemplars {
			l := link{series: fmt.Sprint(d.SeriesLabels), service: d.SeriesLabels["service"], scraped: name == scrapedMetric, trace: e.Labels["trace_id"], span: e.Labels["span_id"]}
			if l.scraped {
				if l.n, err = strconv.Atoi(e.Value); err != nil {
					return err
				}
			}
			s.links = append(s.links, l)
		}
	}
	return nil
}

// calls are what traces_spanmetrics_calls_total says at last, by service.
func (r *recounter) calls(base string) (map[string]float64, error) {
	return r.sum(base, fmt.Sprintf(`sum by (service) (last_over_time(traces_spanmetrics_calls_total{service=~"%s-.*"}[1h]))`, r.plan.run), "service")
}

// sum evaluates a query now, and returns the values by one label.
func (r *recounter) sum(base, query, by string) (map[string]float64, error) {
	body, err := get(base + "/api/v1/query?" + url.Values{"query": {query}}.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for _, one := range answer.Data.Result {
		text, _ := one.Value[1].(string)
		if values[one.Metric[by]], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// scrape reads the calls off the page that is there to be scraped.
func (r *recounter) scrape(web string) (map[string]float64, error) {
	page, err := get("http://" + web + "/metrics/spans")
	if err != nil {
		return nil, err
	}
	calls := map[string]float64{}
	for i := range linkServices {
		name := r.plan.service(i)
		calls[name] = metric(page, "traces_spanmetrics_calls_total", `service="`+name+`"`)
	}
	return calls, nil
}

// counts reads what the aggregator says that it has done.
func (r *recounter) counts(page string) map[string]float64 {
	counts := map[string]float64{}
	for name, of := range map[string][]string{
		"spans": {"braid_correlate_spans_total"}, "late": {"braid_links_late_total", `kind="span"`},
		"late_lines":       {"braid_links_late_total", `kind="error_line"`},
		"kept":             {"braid_correlate_traces_total", `verdict="kept"`},
		"no_trace_id":      {"braid_correlate_spans_malformed_total", `reason="no_trace_id"`},
		"no_span_id":       {"braid_correlate_spans_malformed_total", `reason="no_span_id"`},
		"reused":           {"braid_correlate_spans_malformed_total", `reason="trace_id_reused"`},
		"end_before_start": {"braid_correlate_spans_malformed_total", `reason="end_before_start"`},
		"errors":           {"braid_correlate_rule_traces_total", `rule="errors"`, `outcome="kept"`},
		"slow":             {"braid_correlate_rule_traces_total", `rule="slow"`, `outcome="kept"`},
		"pay":              {"braid_correlate_rule_traces_total", `rule="pay"`, `outcome="kept"`},
		"error_lines":      {"braid_correlate_rule_traces_total", `rule="error_lines"`, `outcome="kept"`},
		"exemplars":        {"braid_correlate_rule_traces_total", `rule="exemplars"`, `outcome="kept"`},
		"traces":           {"braid_correlate_traces_total"},
	} {
		if strings.Contains(page, "\n"+of[0]) {
			counts[name] = metric(page, of[0], of[1:]...)
		}
	}
	return counts
}
