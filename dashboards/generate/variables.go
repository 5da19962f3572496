package main

// The data sources that every dashboard lets its user choose.
var (
	metrics = dict{"type": "prometheus", "uid": "${datasource}"}
	logs    = dict{"type": "elasticsearch", "uid": "${elasticsearch}"}
	traces  = dict{"type": "jaeger", "uid": "${jaeger}"}
)

func source(name, label, kind string) dict {
	return dict{
		"type": "datasource", "name": name, "label": label, "query": kind, "regex": "", "refresh": 1, "hide": 0, "multi": false,
		"includeAll": false, "skipUrlSync": false, "options": []any{}, "current": dict{"text": "", "value": ""},
	}
}

var (
	datasource    = source("datasource", "Metrics", "prometheus")
	elasticsearch = source("elasticsearch", "Lines", "elasticsearch")
	jaeger        = source("jaeger", "Traces", "jaeger")
)

// everywhere are the series that name clusters, namespaces and pods: of targets, of lines and of spans.
const everywhere = `__name__=~"up|braid_log_records_total|traces_target_info"`

// suffix matches what Kubernetes puts behind a workload's name: a hash of the template and of the pod, the pod's alone, or
// a number. Its alphabet has no vowels, so that no word is taken for a hash. Static pods have no suffix.
const suffix = `((-[bcdfghjklmnpqrstvwxz0-9]{6,10})?-([bcdfghjklmnpqrstvwxz2456789]{5}|[0-9]{1,5}))?`

// The variables. "All" is .*, so that what carries no such label is shown as well; chosen names are put together to a
// regular expression, in PromQL and, between slashes, in Lucene.
var (
	cluster   = choice("cluster", "Cluster", "label_values({"+everywhere+"}, cluster)", "")
	namespace = choice("namespace", "Namespace", "label_values({"+everywhere+`,cluster=~"$cluster"}, namespace)`, "")
	pod       = choice("pod", "Pod", "label_values({"+everywhere+`,cluster=~"$cluster",namespace=~"$namespace",pod=~"$workload`+suffix+`"}, pod)`, "")
	job       = choice("job", "Job", `label_values(up{cluster=~"$cluster"}, job)`, "")
	instance  = choice("instance", "braid", `label_values(braid_build_info{cluster=~"$cluster"}, instance)`, "")
	workloads = choice("workload", "Workload", "label_values({"+everywhere+`,cluster=~"$cluster",namespace=~"$namespace"}, pod)`, "/^(.+?)"+suffix+"$/")
)

// choice offers the answer of a query; regex takes the part of it that counts.
func choice(name, label, definition, regex string) dict {
	return dict{
		"type": "query", "name": name, "label": label, "datasource": metrics, "definition": definition,
		"query": dict{"query": definition, "refId": "variable-" + name}, "regex": regex, "refresh": 2, "sort": 1, "hide": 0,
		"multi": true, "includeAll": true, "allValue": ".*", "skipUrlSync": false, "options": []any{},
		"current": dict{"text": "All", "value": "$__all"},
	}
}

// one returns a variable as one of which exactly one value is chosen.
func one(v dict) dict {
	single := dict{}
	for key, value := range v {
		single[key] = value
	}
	single["multi"], single["includeAll"], single["current"] = false, false, dict{"text": "", "value": ""}
	delete(single, "allValue")
	return single
}

// services are those that spans of the chosen pods name; every one of them, and nothing else, is chosen. It is how span
// metrics, which know services only, follow namespaces and pods.
func services(pods string) dict {
	v := choice("service", "Service", "label_values(traces_target_info{"+pods+"}, service)", "")
	v["hide"] = 2
	delete(v, "allValue")
	return v
}

// box is a text that the user writes.
func box(name, label, value string) dict {
	return dict{
		"type": "textbox", "name": name, "label": label, "query": value, "hide": 0, "skipUrlSync": false,
		"options": []any{}, "current": dict{"text": value, "value": value},
	}
}
