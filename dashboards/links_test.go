package dashboards_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A provisioned data source, as far as links go.
type provisioned struct {
	UID, Type, URL string
	JSONData       struct {
		ExemplarTraceIDDestinations []struct {
			Name, DatasourceUID string
		}
		TracesToLogsV2 struct {
			DatasourceUID, Query string
			CustomQuery          bool
		}
		Index, TimeField, LogMessageField, LogLevelField string
		DataLinks                                        []struct {
			Field, URL, DatasourceUID string
		}
	}
}

// datasources reads the provisioned data sources by type, as Grafana does: keys in any case, and $$ is $.
func datasources(t *testing.T) map[string]provisioned {
	t.Helper()
	var file struct {
		Datasources []struct {
			UID, Type, URL string
			JSONData       map[string]any `yaml:"jsonData"`
		}
	}
	readYAML(t, "provisioning/datasources.yaml", &file)
	byType := map[string]provisioned{}
	for _, d := range file.Datasources {
		p := provisioned{UID: d.UID, Type: d.Type, URL: d.URL}
		remarshal(t, d.JSONData, &p.JSONData)
		byType[d.Type] = p
	}
	return byType
}

// linksHold follows the links of the provisioned data sources: exemplar to trace, line to trace, trace to lines.
func (s *site) linksHold(t *testing.T) {
	sources := datasources(t)
	metrics, traces, lines := sources["prometheus"], sources["jaeger"], sources["elasticsearch"]

	exemplar := metrics.JSONData.ExemplarTraceIDDestinations[0]
	if exemplar.DatasourceUID != traces.UID {
		t.Errorf("exemplars lead to %s", exemplar.DatasourceUID)
	}
	for _, d := range dashboards(t) {
		v := s.choose(t, d, values{})
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if q.Exemplar {
					ids := s.exemplars(t, v.in(q.Expr), exemplar.Name)
					if len(ids) == 0 {
						t.Errorf("%s: %s has no exemplars", d.file, p.Title)
					}
					for _, id := range ids {
						s.holds(t, "an exemplar", id)
					}
				}
			}
		}
	}

	link := lines.JSONData.DataLinks[0]
	if link.DatasourceUID != traces.UID || link.URL != "${__value.raw}" || !regexp.MustCompile(link.Field).MatchString("trace.id") {
		t.Errorf("lines lead to %+v", link)
	}
	found, err := s.lines(t, target{Query: "log.level:error AND trace.id:*", TimeField: lines.JSONData.TimeField}, nil)
	if err != nil || len(found) == 0 {
		t.Fatalf("%d error lines with a trace, %v", len(found), err)
	}
	old := found[len(found)-1].Source // its trace has been decided for long
	s.holds(t, "a line", old.Trace.ID)
	if lines.JSONData.LogLevelField != "log.level" || old.Log.Level != "error" {
		t.Errorf("the level is %q", old.Log.Level)
	}

	back := traces.JSONData.TracesToLogsV2
	if back.DatasourceUID != lines.UID || !back.CustomQuery {
		t.Errorf("spans lead to %+v", back)
	}
	query := strings.ReplaceAll(back.Query, "${__trace.traceId}", old.Trace.ID)
	if again, err := s.lines(t, target{Query: query, TimeField: lines.JSONData.TimeField}, nil); err != nil || len(again) == 0 {
		t.Errorf("%s finds %d lines, %v", query, len(again), err)
	}
}

// exemplars returns the trace ids of a query's exemplars.
func (s *site) exemplars(t *testing.T, expr, label string) (ids []string) {
	t.Helper()
	var answer struct {
		Data []struct {
			Exemplars []struct{ Labels map[string]string }
		}
	}
	now := time.Now()
	err := get(t, s.api+"/api/v1/query_exemplars", url.Values{
		"query": {expr}, "start": {strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)},
	}, &answer)
	if err != nil {
		t.Fatal(err)
	}
	for _, series := range answer.Data {
		for _, e := range series.Exemplars {
			ids = append(ids, e.Labels[label])
		}
	}
	return ids
}

// holds looks a trace up as the view of a trace does.
func (s *site) holds(t *testing.T, from, id string) {
	t.Helper()
	var answer struct {
		Data []struct{ Spans []any }
	}
	eventually(t, map[string]func() error{from + " leads to trace " + id: func() error {
		err := get(t, s.api+"/jaeger/api/traces/"+id, nil, &answer)
		if err == nil && (len(answer.Data) != 1 || len(answer.Data[0].Spans) == 0) {
			err = fmt.Errorf("got %+v", answer)
		}
		return err
	}})
}
