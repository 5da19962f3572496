package reckon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// An API is a client of an aggregator's query API and of its own metrics.
type API struct {
	Base   string // http://host:port
	Client *http.Client
}

// A LogLine is one line as GET /api/v1/logs answers it, as far as it is reckoned.
type LogLine struct {
	Time       time.Time `json:"time"`
	Stream     string    `json:"stream"`
	Container  string    `json:"container"`
	TraceID    string    `json:"trace_id"`
	UID        string    `json:"uid"`
	Body       string    `json:"body"`
	BodyBase64 []byte    `json:"body_base64"` // in place of Body
	Error      string    `json:"error"`       // set on a last row that is no line
}

// Bytes returns the body.
func (l *LogLine) Bytes() []byte {
	if l.BodyBase64 != nil {
		return l.BodyBase64
	}
	return []byte(l.Body)
}

// A StoredSpan is one span as GET /api/v1/traces/{id} answers it.
type StoredSpan struct {
	SpanID  string `json:"span_id"`
	Service string `json:"service"`
	Status  string `json:"status"`
}

// Logs calls yield for every line of a namespace since from; with follow it goes on until ctx ends or the server does.
// A line is valid until yield returns.
func (a *API) Logs(ctx context.Context, namespace string, from time.Time, follow bool, yield func(*LogLine)) error {
	query := url.Values{"namespace": {namespace}, "from": {from.UTC().Format(time.RFC3339Nano)}}
	if follow {
		query.Set("follow", "true")
	}
	body, err := a.get(ctx, "/api/v1/logs", query)
	if err != nil {
		return err
	}
	defer body.Close()
	dec := json.NewDecoder(body)
	for {
		var line LogLine
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read log lines: %w", err)
		}
		if line.Error != "" {
			return fmt.Errorf("cannot read log lines: the aggregator says: %s", line.Error)
		}
		yield(&line)
	}
}

// Trace returns the stored spans of a trace, none if it is unknown.
func (a *API) Trace(ctx context.Context, id string) ([]StoredSpan, error) {
	body, err := a.get(ctx, "/api/v1/traces/"+id, nil)
	var status statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var trace struct {
		Spans []StoredSpan `json:"spans"`
	}
	if err := json.NewDecoder(body).Decode(&trace); err != nil {
		return nil, fmt.Errorf("cannot read trace %s: %w", id, err)
	}
	return trace.Spans, nil
}

// Samples counts the samples of one metric name since from, by service, of one scrape job. One name at a time, because
// PromQL's count_over_time takes the name off and would find two series that are alike.
func (a *API) Samples(ctx context.Context, job, name string, from time.Time) (map[string]int64, error) {
	window := int(time.Since(from).Seconds()) + 2
	expr := fmt.Sprintf("sum by (service) (count_over_time({__name__=%s,job=%s}[%ds]))", strconv.Quote(name), strconv.Quote(job), window)
	body, err := a.get(ctx, "/api/v1/query", url.Values{"query": {expr}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string  `json:"metric"`
				Value  [2]json.RawMessage `json:"value"` // time, and the value as a string
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("cannot read the answer to %s: %w", expr, err)
	}
	counts := make(map[string]int64)
	for _, r := range answer.Data.Result {
		var text string
		if err := json.Unmarshal(r.Value[1], &text); err != nil {
			return nil, fmt.Errorf("cannot read the answer to %s: %w", expr, err)
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read the answer to %s: %w", expr, err)
		}
		counts[r.Metric["service"]] = int64(n)
	}
	return counts, nil
}

// Exemplars returns what the store has since from, of whatever series.
func (a *API) Exemplars(ctx context.Context, from time.Time) ([]Exemplar, error) {
	body, err := a.get(ctx, "/api/v1/query_exemplars", url.Values{
		"query": {`{__name__=~".+"}`}, "start": {from.UTC().Format(time.RFC3339Nano)},
		"end": {time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)},
	})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var answer struct {
		Data []struct {
			SeriesLabels map[string]string `json:"seriesLabels"`
			Exemplars    []struct {
				Labels map[string]string `json:"labels"`
			} `json:"exemplars"`
		} `json:"data"`
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("cannot read exemplars: %w", err)
	}
	var all []Exemplar
	for _, series := range answer.Data {
		for _, e := range series.Exemplars {
			all = append(all, Exemplar{
				Name: series.SeriesLabels["__name__"], Job: series.SeriesLabels["job"], TraceID: e.Labels["trace_id"], SpanID: e.Labels["span_id"],
			})
		}
	}
	return all, nil
}

// Calls returns how many spans the aggregator's span metrics have observed.
func (a *API) Calls(ctx context.Context) (int, error) {
	return a.sum(ctx, "/metrics/spans", "traces_spanmetrics_calls_total", "")
}

// Late returns what the aggregator counts as late.
func (a *API) Late(ctx context.Context) (late Late, err error) {
	if late.Spans, err = a.sum(ctx, "/metrics", "braid_links_late_total", `kind="span"`); err != nil {
		return late, err
	}
	late.Lines, err = a.sum(ctx, "/metrics", "braid_links_late_total", `kind="error_line"`)
	return late, err
}

// sum adds up the samples of one name that have a label, on one of the aggregator's pages of metrics.
func (a *API) sum(ctx context.Context, page, name, label string) (int, error) {
	body, err := a.get(ctx, page, nil)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return 0, fmt.Errorf("cannot read the aggregator's metrics: %w", err)
	}
	sum := 0.0
	for line := range strings.Lines(string(text)) {
		rest, ours := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ours || rest == "" || (rest[0] != '{' && rest[0] != ' ') || !strings.Contains(rest, label) {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read the aggregator's metrics: %w", err)
		}
		sum += v
	}
	return int(sum), nil
}

type statusError struct {
	code int
	text string
}

func (e statusError) Error() string { return e.text }

func (a *API) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	target := a.Base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the aggregator: %w", err)
	}
	resp, err := a.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the aggregator: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return nil, statusError{resp.StatusCode, fmt.Sprintf("GET %s: %s: %s", path, resp.Status, strings.TrimSpace(string(text)))}
}
