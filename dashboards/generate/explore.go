package main

// toTrace shows a trace of a list in the panels below it.
const toTrace = "/d/" + uidPrefix + "explore?var-trace_id=${__value.raw}&${cluster:queryparam}&${namespace:queryparam}&${workload:queryparam}" +
	"&${pod:queryparam}&${service:queryparam}&${datasource:queryparam}&${elasticsearch:queryparam}&${jaeger:queryparam}&${__url_time_range}"

func explore() dashboard {
	service := one(services(ofPod))
	service["hide"] = 0
	search := func(tags, minDuration string) dict {
		return dict{"service": "$service", "operation": "", "tags": tags, "minDuration": minDuration, "maxDuration": "", "limit": 20}
	}
	found := linesOfPods + " AND ($search)"
	return dashboard{
		uid: "explore", title: "Traces and lines",
		description: "Search lines and traces, and look at one trace with its lines.",
		variables: []dict{
			datasource, elasticsearch, jaeger, cluster, namespace, workloads, pod, service,
			box("search", "Lines that match", "*"), box("min_duration", "Traces longer than", ""), box("trace_id", "Trace id", ""),
		},
		rows: []row{
			{"Lines", []panel{
				logCounts("Lines by severity", "", found, "log.level"),
				logLines("Lines", "The newest lines. The search is Lucene's: words of the message, or fields, such as log.level:error or trace.id:*. "+
					"A line with a trace id leads to its trace.", found),
			}},
			{"Traces", []panel{
				traceList("Traces of $service", "The newest ones that are stored: with sampling, those that were kept.", toTrace, search("", "$min_duration")),
				traceList("Failed traces of $service", "Those with a span of the status error.", toTrace, search("error=true", "$min_duration")),
			}},
			{"Trace $trace_id", []panel{
				traceView("Trace", "A span leads to its lines.", "$trace_id"),
				logLines("Lines of the trace", "All lines with this trace id, of all services.", `trace.id:"$trace_id"`),
			}},
		},
	}
}
