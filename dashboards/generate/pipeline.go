package main

// ofBraid are braid's own processes: agents and aggregators.
const ofBraid = ofCluster + `,instance=~"$instance"`

// of selects series of braid's own processes.
func of(name string, matchers ...string) string {
	all := ofBraid
	for _, m := range matchers {
		all += "," + m
	}
	return name + "{" + all + "}"
}

const perCursor = "instance, signal, cursor"

// undelivered is the share of each lane that some cursor has not passed.
var undelivered = "max by (instance, signal) (" + of("braid_pipeline_lag_bytes") + ") / max by (instance, signal) (" + of("braid_pipeline_lane_limit_bytes") + ")"

func pipeline() dashboard {
	return dashboard{
		uid: "pipeline", title: "Pipeline",
		description: "Whether braid itself loses, delays or refuses anything. For every cursor: in = out + dropped + in flight.",
		variables:   []dict{datasource, cluster, instance},
		rows: []row{
			{"Now", []panel{
				stat("Processes", "short", "Agents and aggregators that are scraped.", 0, "count("+of("braid_build_info")+")"),
				stat("Bytes lost", "bytes", "Of log files, before they were read, in the time range.", 1, orZero("sum(increase("+of("braid_log_bytes_lost_total")+"[$__range]))")),
				stat("Gaps", "short", "Of unknowable size, in containers' logs, in the time range.", 1, orZero("sum(increase("+of("braid_log_gaps_total")+"[$__range]))")),
				stat("Frames dropped", "short", "Stored and not delivered, in the time range: skipped, corrupt or quarantined.", 1, "sum(increase("+of("braid_pipeline_dropped_frames_total")+"[$__range]))"),
				stat("Fullest lane", "percentunit", "What is not delivered, of what a lane may take. A full lane turns senders away (429).", 0.7, "max("+undelivered+")"),
				stat("Longest lag", "s", "Age of the oldest frame that was read and is not delivered.", 300, "max("+of("braid_pipeline_lag_seconds")+")"),
				stat("Dead letters", "short", "Documents that Elasticsearch refused, in the time range.", 1, orZero("sum(increase("+of("braid_elasticsearch_documents_total", `result="refused"`)+"[$__range]))")),
				stat("Quarantine", "bytes", "Frames that could not be decoded or delivered.", 1, "sum("+of("braid_pipeline_quarantine_bytes")+")"),
			}},
			ledger(), lag(), agents(), exporters(), sampling(), itself(),
		},
	}
}

func ledger() row {
	total := func(series string) string { return sumBy(perCursor, series) }
	stored := func(series string) string {
		return series + " * on (instance, signal) group_left() " + sumBy("instance, signal", of("braid_pipeline_appended_frames_total", `outcome="stored"`))
	}
	cursors := "0 * " + total(of("braid_pipeline_in_flight_frames")) + " + 1"
	return row{"Ledger", []panel{
		lines("Frames in", "cps", "What senders brought: stored, duplicate (a repeat, acknowledged), refused (no room: they send again) or failed (the disk).",
			query(sumBy("signal, outcome", rate(of("braid_pipeline_appended_frames_total"))), "{{signal}} {{outcome}}")),
		lines("Frames out", "cps", "What each cursor has passed as done. observe counts, decide samples, the others are exporters.",
			query(sumBy("signal, cursor", rate(of("braid_pipeline_out_frames_total"))), "{{signal}} {{cursor}}")),
		lines("Frames dropped", "cps", "Stored and not delivered. 0 is what there should be.",
			query(sumBy("signal, cursor, reason", rate(of("braid_pipeline_dropped_frames_total"))), "{{signal}} {{cursor}} {{reason}}")),
		table("The books of every cursor", "Frames since the process started: stored + carried over = out + dropped + in flight. What was carried over lay there when the "+
			"process started; it stays as it is while the books balance.", nil,
			column{"Stored", "short", stored("(" + cursors + ")")},
			column{"Out", "short", total(of("braid_pipeline_out_frames_total"))},
			column{"Dropped", "short", total(of("braid_pipeline_dropped_frames_total"))},
			column{"In flight", "short", total(of("braid_pipeline_in_flight_frames"))},
			column{"Carried over", "short", total(of("braid_pipeline_out_frames_total")) + " + " + total(of("braid_pipeline_dropped_frames_total")) + " + " +
				total(of("braid_pipeline_in_flight_frames")) + " - " + stored("("+cursors+")")},
		),
		lines("Records", "cps", "What deliveries have decoded: delivered, of them dropped by stages (sampling), duplicate, replayed (after a start) or invalid.",
			query(sumBy("signal, cursor, outcome", rate(of("braid_pipeline_records_total"))), "{{signal}} {{cursor}} {{outcome}}")).sized(12, 8),
		lines("Received", "Bps", "Bodies of stored frames.", query(sumBy("instance, signal", rate(of("braid_pipeline_stored_bytes_total"))), "{{instance}} {{signal}}")).sized(12, 8),
	}}
}

func lag() row {
	return row{"Lag", []panel{
		lines("Lag", "s", "Age of the oldest frame that a cursor has read and not committed. With sampling, decide and exporters of spans are behind by sampling.wait.",
			query("max by ("+perCursor+") ("+of("braid_pipeline_lag_seconds")+")", "{{instance}} {{signal}} {{cursor}}")),
		lines("Lag in bytes", "bytes", "What a cursor has not committed.",
			query(sumBy(perCursor, of("braid_pipeline_lag_bytes")), "{{instance}} {{signal}} {{cursor}}")),
		lines("Lanes", "percentunit", "What is not delivered, of what a lane may take. A full lane turns senders away (429); they keep what they have.",
			query(undelivered, "{{instance}} {{signal}}")),
		lines("Lanes on disk", "percentunit", "What a lane's segments take of what they may: what is not delivered, and what is held for a restart. "+
			"The latter is given up when there is no room.",
			query("max by (instance, signal) ("+of("braid_pipeline_lane_bytes")+" / "+of("braid_pipeline_lane_limit_bytes")+")", "{{instance}} {{signal}}")),
		lines("Sync, p99", "s", "Write and fdatasync of a lane.", query(quantile("0.99", "le, instance", of("braid_pipeline_fsync_seconds_bucket")), "{{instance}}")),
		lines("Quarantine", "bytes", "", query(sumBy("instance", of("braid_pipeline_quarantine_bytes")), "{{instance}}")),
	}}
}

func agents() row {
	return row{"Agents", []panel{
		lines("Log files read", "Bps", "", query(sumBy("instance", rate(of("braid_logs_read_bytes_total"))), "{{instance}}")),
		lines("Records", "cps", "Read, and what became of them: sent, or rewound (to be read again).",
			query("sum("+rate(of("braid_logs_records_read_total"))+")", "read"),
			query(sumBy("outcome", rate(of("braid_logs_records_total"))), "{{outcome}}"),
			query(orZero(sumBy("reason", rate(of("braid_logs_records_dropped_total")))), "refused {{reason}}")),
		lines("Not acknowledged", "short", "Records that were read and that the aggregator has not answered for.",
			query(sumBy("instance", of("braid_logs_records_read_total"))+" - "+sumBy("instance", of("braid_logs_records_total")), "{{instance}}")),
		lines("Lost", "bytes", "Bytes of log files that were gone before they were read, in the time range. 0 is what there should be.",
			query(orZero(sumBy("namespace, pod, reason", "increase("+of("braid_log_bytes_lost_total")+"[$__range])")), "{{namespace}}/{{pod}} {{reason}}")),
		lines("Flagged lines and errors", "cps", "Lines that were truncated, had no end or were malformed; operations on files that failed.",
			query(orZero(sumBy("flag", rate(of("braid_logs_records_flagged_total")))), "flag {{flag}}"),
			query(orZero(sumBy("op", rate(of("braid_logs_errors_total")))), "error {{op}}")),
		lines("Open log files", "short", "", query(sumBy("instance", of("braid_logs_open_files")), "{{instance}}")),
	}}
}

func exporters() row {
	return row{"Receivers and exporters", []panel{
		lines("Requests taken", "reqps", "By HTTP status. 429: no room, the sender tries again.",
			query(sumBy("signal, code", rate(of("braid_receivers_otlp_requests_total"))), "otlp {{signal}} {{code}}"),
			query(sumBy("version, code", rate(of("braid_receivers_remotewrite_requests_total"))), "remote-write {{version}} {{code}}")),
		lines("Held for requests", "bytes", "Memory of requests that are not answered yet.",
			query(sumBy("instance", of("braid_receivers_otlp_in_flight_bytes"))+" + "+sumBy("instance", of("braid_receivers_remotewrite_in_flight_bytes")), "{{instance}}")),
		lines("OTLP sent", "reqps", "By HTTP status; 0: there was no answer.",
			query(sumBy("instance, signal, code", rate(of("braid_exporters_otlp_requests_total"))), "{{instance}} {{signal}} {{code}}")),
		lines("Remote-write", "cps", "Samples delivered, refused for good, and of attempts that failed and are made again.",
			query(sumBy("instance", rate(of("braid_remote_storage_samples_total"))), "{{instance}} delivered"),
			query(sumBy("instance", rate(of("braid_remote_storage_samples_failed_total"))), "{{instance}} refused"),
			query(sumBy("instance", rate(of("braid_remote_storage_samples_retried_total"))), "{{instance}} again")),
		lines("Elasticsearch documents", "cps", "stored; conflict and already: there before; refused: dead letters.",
			query(orZero(sumBy("data_stream, result", rate(of("braid_elasticsearch_documents_total")))), "{{data_stream}} {{result}}")),
		lines("Elasticsearch bulks", "reqps", "Bulk requests by result.", query(orZero(sumBy("result", rate(of("braid_elasticsearch_bulks_total")))), "{{result}}")),
		lines("Exporters' answers, p99", "s", "",
			query(quantile("0.99", "le, instance, signal", of("braid_exporters_otlp_request_duration_seconds_bucket")), "otlp {{instance}} {{signal}}"),
			query(quantile("0.99", "le, instance", of("braid_remote_storage_sent_batch_duration_seconds_bucket")), "remote-write {{instance}}"),
			query(orZero(quantile("0.99", "le, instance", of("braid_elasticsearch_bulk_duration_seconds_bucket"))), "elasticsearch {{instance}}")),
		lines("Store", "cps", "Records taken by the embedded store, and samples that it refused.",
			query(orZero(sumBy("signal", rate(of("braid_store_records_total")))), "{{signal}}"),
			query(orZero(sumBy("what, reason", rate(of("braid_store_rejected_total")))), "refused {{what}} {{reason}}")),
		lines("Store on disk", "bytes", "Lines and spans; samples are Prometheus' TSDB beside them.", query(orZero("sum("+of("braid_store_disk_bytes")+")"), "lines and spans")),
	}}
}

func sampling() row {
	return row{"Sampling and span metrics", []panel{
		lines("Traces decided", "cps", "By verdict.", query(sumBy("verdict", rate(of("braid_correlate_traces_total"))), "{{verdict}}")).stacked(),
		lines("Kept by rule", "cps", "Kept traces for which a rule held. One trace counts for every such rule.",
			query(sumBy("rule", rate(of("braid_correlate_rule_traces_total", `outcome="kept"`))), "{{rule}}")),
		lines("Kept by one rule alone", "cps", "What would be dropped without the rule.",
			query(sumBy("rule", rate(of("braid_correlate_rule_traces_total", `outcome="alone"`))), "{{rule}}")),
		lines("Spans decided", "cps", "Read by the decider; malformed ones by what is wrong with them.",
			query("sum("+rate(of("braid_correlate_spans_total"))+")", "all"),
			query(sumBy("reason", rate(of("braid_correlate_spans_malformed_total"))), "malformed {{reason}}")),
		lines("Too late for their trace", "cps", "span: it follows its trace's verdict. error_line: its trace was dropped before the line came.",
			query(sumBy("kind", rate(of("braid_links_late_total"))), "{{kind}}")),
		lines("Exemplars", "cps", "kept and unlinked are shipped; the others are stripped, because nothing would be found behind them.",
			query(orZero(sumBy("outcome", rate(of("braid_correlate_exemplars_total")))), "{{outcome}}")),
		lines("Exemplars that wait", "short", "For their trace's verdict and a later sample of their series.",
			query(orZero(sumBy("instance", of("braid_correlate_exemplars_held"))), "{{instance}}")),
		lines("Verdict log", "short", "Verdicts that it has had, those let go included.", query("max("+of("braid_correlate_verdicts")+")", "verdicts"),
			query("sum("+of("braid_correlate_verdicts_damaged_total")+")", "damaged")),
		lines("Trace index", "short", "Traces with facts that rules ask for, and facts that found no room.",
			query("sum("+of("braid_correlate_index_entries")+")", "traces"),
			query("sum(increase("+of("braid_correlate_index_refused_total")+"[$__range]))", "refused facts")),
		lines("Series made of spans", "short", "limits.max_metrics_series bounds them; what comes beyond is counted together.",
			query("sum("+of("braid_traces_series")+")", "span metrics"), query("sum("+of("braid_traces_graph_series")+")", "service graph"),
			query("sum(increase("+of("braid_traces_overflow_spans_total")+"[$__range]))", "spans in the overflow")),
		lines("Service graph", "short", "Spans that wait for the other side of their call; those that had to go early, or could not be used.",
			query("sum("+of("braid_traces_graph_pending_spans")+")", "pending"),
			query("sum(increase("+of("braid_traces_graph_evicted_spans_total")+"[$__range]))", "evicted"),
			query("sum(increase("+of("braid_traces_graph_unusable_spans_total")+"[$__range]))", "unusable")),
	}}
}

func itself() row {
	return row{"braid itself", []panel{
		lines("CPU", "short", "Cores.", query(sumBy("instance", rate(of("process_cpu_seconds_total"))+" and on (instance) "+of("braid_build_info")), "{{instance}}")),
		lines("Memory", "bytes", "Resident memory.", query(sumBy("instance", of("process_resident_memory_bytes")+" and on (instance) "+of("braid_build_info")), "{{instance}}")),
		lines("Queries answered, p99", "s", "By endpoint; following counts until it ends.",
			query(orZero(quantile("0.99", "le, endpoint", of("braid_query_duration_seconds_bucket"))), "{{endpoint}}")),
	}}
}
