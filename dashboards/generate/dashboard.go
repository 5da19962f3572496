package main

// dict is an object of Grafana's JSON.
type dict = map[string]any

// A dashboard is rows of panels, laid out from left to right.
type dashboard struct {
	uid, title, description string
	variables               []dict
	rows                    []row
}

type row struct {
	title  string
	panels []panel
}

// A panel is what Grafana calls one, but for its id and place.
type panel struct {
	width, height int
	json          dict
}

const (
	columns   = 24
	schema    = 41 // of Grafana 11 and 12
	tag       = "braid"
	uidPrefix = "braid-"
)

func (d dashboard) grafana() dict {
	return dict{
		"uid": uidPrefix + d.uid, "title": "braid / " + d.title, "description": d.description, "tags": []string{tag},
		"schemaVersion": schema, "version": 1, "editable": true, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
		"time":        dict{"from": "now-1h", "to": "now"},
		"timepicker":  dict{},
		"annotations": dict{"list": []any{}},
		"links": []dict{{
			"type": "dashboards", "title": "braid", "tags": []string{tag}, "asDropdown": false, "includeVars": true, "keepTime": true,
			"targetBlank": false, "icon": "external link", "tooltip": "", "url": "",
		}},
		"templating": dict{"list": d.variables},
		"panels":     place(d.rows),
	}
}

// place gives every panel its id and its place: rows from top to bottom, panels from left to right.
func place(rows []row) (all []dict) {
	x, y, below := 0, 0, 0
	next := func(p dict, width, height int) {
		if x+width > columns {
			x, y = 0, below
		}
		p["id"] = len(all) + 1
		p["gridPos"] = dict{"x": x, "y": y, "w": width, "h": height}
		all = append(all, p)
		x += width
		below = max(below, y+height)
	}
	for _, r := range rows {
		x, y = 0, below
		next(dict{"type": "row", "title": r.title, "collapsed": false, "panels": []any{}}, columns, 1)
		x, y = 0, below
		for _, p := range r.panels {
			next(p.json, p.width, p.height)
		}
	}
	return all
}

// sized returns p with another width and height.
func (p panel) sized(width, height int) panel {
	p.width, p.height = width, height
	return p
}
