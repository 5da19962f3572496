package main

// toExplore is where a workload's traces and lines are.
const toExplore = "/d/" + uidPrefix + "explore?${cluster:queryparam}&${namespace:queryparam}&${workload:queryparam}&${pod:queryparam}" +
	"&${datasource:queryparam}&${elasticsearch:queryparam}&${jaeger:queryparam}&${__url_time_range}"

// The lines of the chosen pods, in Lucene. Lines from senders that name no cluster are shown for every cluster.
const linesOfPods = `kubernetes.namespace:/${namespace:regex}/ AND kubernetes.pod.name:/${pod:regex}/` +
	` AND NOT (_exists_:orchestrator.cluster.name AND NOT orchestrator.cluster.name:/${cluster:regex}/)`

func workload() dashboard {
	ofOperation := func(q string) dict {
		return exemplars(query(quantile(q, "le", "traces_spanmetrics_latency_bucket{"+called+"}"), "p"+q[2:]))
	}
	return dashboard{
		uid: "workload", title: "Workload",
		description: "One workload: what it is asked (rate, errors, duration), what it says, how its pods are.",
		variables:   []dict{datasource, elasticsearch, jaeger, cluster, namespace, one(workloads), pod, services(ofPod)},
		rows: []row{
			{"Requests", []panel{
				text("[Traces and lines of these pods]("+toExplore+") · a point on a duration is an exemplar and leads to its trace · "+
					"a line with a trace id leads to its trace · a span leads to its lines").sized(24, 2),
				lines("Rate", "reqps", "Calls by operation: server and consumer spans of the services that these pods name.",
					query(callRate("span_name", ""), "{{span_name}}")).stacked(),
				lines("Errors", "percentunit", "Share of calls whose span has the status error.", query(failureRatio("span_name"), "{{span_name}}")),
				lines("Duration", "s", "Of all calls. Points are exemplars: they lead to a trace.", ofOperation("0.50"), ofOperation("0.95"), ofOperation("0.99")),
				lines("Calls from", "reqps", "Who calls this workload, by the service graph.",
					query(sumBy("client", rate("traces_service_graph_request_total{"+ofCluster+`,server=~"$service"}`)), "{{client}}")).sized(12, 7),
				lines("Calls to", "reqps", "Whom this workload calls, by the service graph.",
					query(orZero(sumBy("server", rate("traces_service_graph_request_total{"+ofCluster+`,client=~"$service"}`))), "{{server}}")).sized(12, 7),
			}},
			{"Lines", []panel{
				lines("Lines by severity", "cps", "", query(sumBy("severity", rate("braid_log_records_total{"+ofPod+"}")), "{{severity}}")).stacked(),
				lines("Lines by pod", "cps", "", query(sumBy("pod", rate("braid_log_records_total{"+ofPod+"}")), "{{pod}}")),
				lines("Lost", "bytes", "Bytes of these pods' logs that were gone before they were read, in the time range. 0 is what there should be.",
					query(orZero(sumBy("pod, reason", "increase(braid_log_bytes_lost_total{"+ofPod+"}[$__range])")), "{{pod}} {{reason}}")),
				logLines("Error lines", "The newest lines of severity error and fatal. A line with a trace id leads to its trace.", linesOfPods+" AND log.level:(error OR fatal)"),
			}},
			{"Pods", []panel{
				lines("Restarts", "short", "How often each container has been restarted in its pod, as its log files are numbered.",
					query(sumBy("pod, container", "max by (pod, container) (braid_log_container_restarts{"+ofPod+"})"), "{{pod}} {{container}}")),
				lines("CPU", "short", "Cores.", query(cpuOfPods(ofPod), "{{pod}}")),
				lines("Memory", "bytes", "Working set (from the kubelet), or resident memory (from the process itself).", query(memoryOfPods(ofPod), "{{pod}}")),
				lines("Open files", "short", "", query(sumBy("pod", "process_open_fds{"+ofPod+"}"), "{{pod}}")).sized(12, 7),
				lines("Scraped", "short", "1: the target answers.", query("min by (pod) (up{"+ofPod+"})", "{{pod}}")).sized(12, 7),
			}},
		},
	}
}
