package main

import "fmt"

// What the panels have in common. A call is what a service was asked: a span of kind server or consumer.
const (
	ofCluster   = `cluster=~"$cluster"`
	ofNamespace = ofCluster + `,namespace=~"$namespace"`
	ofPod       = ofNamespace + `,pod=~"$pod"`
	ofService   = ofCluster + `,service=~"$service"`
	called      = ofService + `,span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"`
	failed      = `,status_code="STATUS_CODE_ERROR"`
	ofEdge      = `{` + ofCluster + `,client=~"$service"}[$__rate_interval]`
)

func rate(selector string) string { return "rate(" + selector + "[$__rate_interval])" }

func sumBy(labels, expr string) string { return "sum by (" + labels + ") (" + expr + ")" }

// callRate is the rate of calls by labels; more are matchers beyond those of a call.
func callRate(labels, more string) string {
	return sumBy(labels, rate("traces_spanmetrics_calls_total{"+called+more+"}"))
}

// failureRatio is 0 for those that were called and did not fail.
func failureRatio(labels string) string {
	all := callRate(labels, "")
	return fmt.Sprintf("(%s or 0 * %s) / %s", callRate(labels, failed), all, all)
}

func quantile(q, labels, histogram string) string {
	return "histogram_quantile(" + q + ", " + sumBy(labels, rate(histogram)) + ")"
}

// byWorkload sums series of pods by the workload that the pod's name says.
func byWorkload(expr string) string {
	return sumBy("namespace, workload", fmt.Sprintf(`label_replace(%s, "workload", "$1", "pod", "(.+?)%s")`, expr, suffix))
}

// cpuOfPods and memoryOfPods are the kubelet's word on each pod, or else that of the pod's own processes.
func cpuOfPods(pods string) string {
	return sumBy("namespace, pod", rate("container_cpu_usage_seconds_total{"+pods+`,container!=""}`)) + " or " +
		sumBy("namespace, pod", rate("process_cpu_seconds_total{"+pods+`,pod!=""}`))
}

func memoryOfPods(pods string) string {
	return sumBy("namespace, pod", "container_memory_working_set_bytes{"+pods+`,container!=""}`) + " or " +
		sumBy("namespace, pod", "process_resident_memory_bytes{"+pods+`,pod!=""}`)
}

// restarted is how often containers were restarted in the time range.
func restarted(pods string) string {
	series := "braid_log_container_restarts{" + pods + "}[$__range]"
	return "max_over_time(" + series + ") - min_over_time(" + series + ")"
}

const errorLines = `,severity=~"error|fatal"`

// toWorkload is where the name of a workload leads.
const toWorkload = "/d/" + uidPrefix + "workload?var-workload=${__data.fields.workload}&var-namespace=${__data.fields.namespace}" +
	"&${cluster:queryparam}&${datasource:queryparam}&${elasticsearch:queryparam}&${jaeger:queryparam}&${__url_time_range}"

func overview() dashboard {
	lineRate := rate("braid_log_records_total{" + ofNamespace + "}")
	errorRate := rate("braid_log_records_total{" + ofNamespace + errorLines + "}")
	cpu, memory := cpuOfPods(ofNamespace), memoryOfPods(ofNamespace)
	return dashboard{
		uid: "overview", title: "Cluster",
		description: "What runs, what it is asked, what fails and what it says. Calls are counted from all spans, before any sampling.",
		variables:   []dict{datasource, elasticsearch, jaeger, cluster, namespace, services(ofNamespace)},
		rows: []row{
			{"Now", []panel{
				stat("Services", "short", "Services that send spans.", 0, "count(count by (service) (traces_target_info{"+ofNamespace+"}))"),
				stat("Calls", "reqps", "Server and consumer spans.", 0, "sum("+rate("traces_spanmetrics_calls_total{"+called+"}")+")"),
				stat("Failed calls", "percentunit", "Share of calls whose span has the status error.", 0.05,
					"sum("+rate("traces_spanmetrics_calls_total{"+called+failed+"}")+") / sum("+rate("traces_spanmetrics_calls_total{"+called+"}")+") or on() vector(0)"),
				stat("p99", "s", "99 of 100 calls are as fast or faster.", 0, quantile("0.99", "le", "traces_spanmetrics_latency_bucket{"+called+"}")),
				stat("Lines", "cps", "Log lines, each counted once.", 0, "sum("+lineRate+")"),
				stat("Error lines", "cps", "Lines of severity error and fatal.", 0, orZero("sum("+errorRate+")")),
				stat("Restarts", "short", "Restarts of containers in the time range, as their log files are numbered.", 1, orZero("sum("+restarted(ofNamespace)+")")),
				stat("Targets down", "short", "Scrape targets that do not answer.", 1, orZero("count(up{"+ofNamespace+"} == 0)")),
			}},
			{"Services", []panel{
				lines("Calls", "reqps", "Server and consumer spans.", query(callRate("service", ""), "{{service}}")).stacked(),
				lines("Failed calls", "percentunit", "Share of calls whose span has the status error.", query(failureRatio("service"), "{{service}}")),
				lines("Duration, p99", "s", "Points are exemplars: they lead to a trace.",
					exemplars(query(quantile("0.99", "le, service", "traces_spanmetrics_latency_bucket{"+called+"}"), "{{service}}"))),
				table("Who calls whom", "The service graph. connection_type is empty between two services, else database, messaging_system or virtual_node.", nil,
					column{"Calls/s", "reqps", sumBy("client, server, connection_type", "rate(traces_service_graph_request_total"+ofEdge+")")},
					column{"Failed/s", "reqps", sumBy("client, server, connection_type", "rate(traces_service_graph_request_failed_total"+ofEdge+")")},
					column{"p95, client", "s", "histogram_quantile(0.95, " + sumBy("le, client, server, connection_type", "rate(traces_service_graph_request_client_seconds_bucket"+ofEdge+")") + ")"},
					column{"p95, server", "s", "histogram_quantile(0.95, " + sumBy("le, client, server, connection_type", "rate(traces_service_graph_request_server_seconds_bucket"+ofEdge+")") + ")"},
				),
			}},
			{"Workloads", []panel{
				lines("Lines by severity", "cps", "", query(sumBy("severity", lineRate), "{{severity}}")).stacked().sized(12, 8),
				lines("Error lines, the ten loudest workloads", "cps", "Lines of severity error and fatal.",
					query(orZero("topk(10, "+byWorkload(errorRate)+")"), "{{namespace}}/{{workload}}")).sized(12, 8),
				table("Workloads", "A workload is what its pods' names begin with.",
					map[string]string{"workload": toWorkload},
					column{"Lines/s", "cps", byWorkload(lineRate)},
					column{"Error lines/s", "cps", orNothing(byWorkload(errorRate), byWorkload(lineRate))},
					column{"Restarts", "short", byWorkload(restarted(ofNamespace))},
					column{"CPU", "short", byWorkload(cpu)},
					column{"Memory", "bytes", byWorkload(memory)},
				),
				lines("CPU", "short", "Cores, by workload.", query(byWorkload(cpu), "{{namespace}}/{{workload}}")).sized(12, 8),
				lines("Memory", "bytes", "By workload.", query(byWorkload(memory), "{{namespace}}/{{workload}}")).sized(12, 8),
			}},
		},
	}
}

// orNothing returns part, and 0 for what all has and part has not.
func orNothing(part, all string) string { return part + " or 0 * " + all }
