package main

func newPanel(kind, title, description string, source dict, targets []dict) dict {
	for i := range targets {
		targets[i]["refId"] = string(rune('A' + i))
		targets[i]["datasource"] = source
	}
	return dict{"type": kind, "title": title, "description": description, "datasource": source, "targets": targets}
}

// lines draws queries of metrics over time.
func lines(title, unit, description string, targets ...dict) panel {
	return panel{8, 8, chart(newPanel("timeseries", title, description, metrics, targets), unit)}
}

func chart(p dict, unit string) dict {
	p["fieldConfig"] = dict{"defaults": dict{"unit": unit, "min": 0, "custom": dict{
		"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": false,
	}}, "overrides": []any{}}
	p["options"] = dict{
		"legend":  dict{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []any{}},
		"tooltip": dict{"mode": "multi", "sort": "desc"},
	}
	return p
}

// stacked returns p, a chart, as areas one on the other.
func (p panel) stacked() panel {
	custom := p.json["fieldConfig"].(dict)["defaults"].(dict)["custom"].(dict)
	custom["stacking"], custom["fillOpacity"] = dict{"mode": "normal", "group": "A"}, 40
	return p
}

// stat shows one number, red from bad on; bad 0: never.
func stat(title, unit, description string, bad float64, expr string) panel {
	steps := []dict{{"color": "green", "value": nil}}
	if bad > 0 {
		steps = append(steps, dict{"color": "red", "value": bad})
	}
	p := newPanel("stat", title, description, metrics, []dict{query(expr, "")})
	p["fieldConfig"] = dict{"defaults": dict{
		"unit": unit, "color": dict{"mode": "thresholds"}, "thresholds": dict{"mode": "absolute", "steps": steps},
	}, "overrides": []any{}}
	p["options"] = dict{
		"wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard", "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
		"reduceOptions": dict{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return panel{3, 4, p}
}

// A column of a table is the value of one query.
type column struct{ title, unit, expr string }

// table has one line for each combination of labels that the columns' queries have; links are of the cells of a label.
func table(title, description string, links map[string]string, columns ...column) panel {
	var targets []dict
	names, overrides := dict{}, []dict{}
	for i, c := range columns {
		targets = append(targets, dict{"expr": c.expr, "instant": true, "range": false, "format": "table", "editorMode": "code"})
		value := "Value #" + string(rune('A'+i))
		if len(columns) == 1 {
			value = "Value"
		}
		names[value] = c.title
		overrides = append(overrides, override(c.title, "unit", c.unit))
	}
	for label, url := range links {
		overrides = append(overrides, override(label, "links", []dict{{"title": "Open", "url": url, "targetBlank": false}}))
	}
	p := newPanel("table", title, description, metrics, targets)
	p["fieldConfig"] = dict{"defaults": dict{"custom": dict{"filterable": true, "align": "auto", "inspect": false}}, "overrides": overrides}
	p["options"] = dict{"showHeader": true, "cellHeight": "sm", "frameIndex": 0}
	p["transformations"] = []dict{
		{"id": "merge", "options": dict{}},
		{"id": "organize", "options": dict{"excludeByName": dict{"Time": true}, "renameByName": names, "indexByName": dict{}}},
	}
	return panel{24, 9, p}
}

func override(field, property string, value any) dict {
	return dict{
		"matcher":    dict{"id": "byName", "options": field},
		"properties": []dict{{"id": property, "value": value}},
	}
}

// logLines shows the newest lines that a Lucene query finds.
func logLines(title, description, lucene string) panel {
	p := newPanel("logs", title, description, logs, []dict{{
		"query": lucene, "timeField": "@timestamp", "bucketAggs": []any{},
		"metrics": []dict{{"id": "1", "type": "logs", "settings": dict{"limit": "500"}}},
	}})
	p["options"] = dict{
		"showTime": true, "showLabels": false, "showCommonLabels": false, "wrapLogMessage": true, "prettifyLogMessage": false,
		"enableLogDetails": true, "showLogContextToggle": false, "sortOrder": "Descending", "dedupStrategy": "none",
	}
	return panel{24, 12, p}
}

// logCounts draws how many lines a Lucene query finds, by a field.
func logCounts(title, description, lucene, field string) panel {
	p := newPanel("timeseries", title, description, logs, []dict{{
		"query": lucene, "timeField": "@timestamp", "metrics": []dict{{"id": "1", "type": "count"}},
		"bucketAggs": []dict{
			{"id": "2", "type": "terms", "field": field, "settings": dict{"size": "10", "order": "desc", "orderBy": "_count", "min_doc_count": "1"}},
			{"id": "3", "type": "date_histogram", "field": "@timestamp", "settings": dict{"interval": "auto", "min_doc_count": "0"}},
		},
	}})
	p = chart(p, "short")
	p["fieldConfig"].(dict)["defaults"].(dict)["custom"].(dict)["drawStyle"] = "bars"
	return panel{24, 6, p}.stacked()
}

// traceList is a search for traces; link is of the cells with a trace id.
func traceList(title, description, link string, search dict) panel {
	search["queryType"] = "search"
	p := newPanel("table", title, description, traces, []dict{search})
	p["fieldConfig"] = dict{"defaults": dict{}, "overrides": []dict{
		override("Trace ID", "links", []dict{{"title": "Show the trace and its lines below", "url": link, "targetBlank": false}}),
	}}
	p["options"] = dict{"showHeader": true, "cellHeight": "sm", "frameIndex": 0}
	return panel{12, 9, p}
}

// traceView shows one trace.
func traceView(title, description, id string) panel {
	return panel{24, 14, newPanel("traces", title, description, traces, []dict{{"query": id}})}
}

// text is Markdown.
func text(markdown string) panel {
	return panel{24, 3, dict{"type": "text", "title": "", "options": dict{"mode": "markdown", "content": markdown}}}
}

// query is a query of metrics over the time range.
func query(expr, legend string) dict {
	return dict{"expr": expr, "legendFormat": legend, "instant": false, "range": true, "editorMode": "code"}
}

// exemplars returns a query of metrics that asks for exemplars as well.
func exemplars(q dict) dict {
	q["exemplar"] = true
	return q
}

// orZero returns 0 where expr, which sums what may never have happened, returns nothing.
func orZero(expr string) string { return expr + " or on() vector(0)" }
