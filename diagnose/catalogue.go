package diagnose

import "maps"

const (
	buildInfo       = "braid_build_info"
	appendedFrames  = "braid_pipeline_appended_frames_total"
	storedBytes     = "braid_pipeline_stored_bytes_total"
	laneLimit       = "braid_pipeline_lane_limit_bytes"
	lagSeconds      = "braid_pipeline_lag_seconds"
	lagBytes        = "braid_pipeline_lag_bytes"
	inFlightFrames  = "braid_pipeline_in_flight_frames"
	outFrames       = "braid_pipeline_out_frames_total"
	droppedFrames   = "braid_pipeline_dropped_frames_total"
	records         = "braid_pipeline_records_total"
	quarantineBytes = "braid_pipeline_quarantine_bytes"

	otlpReceived  = "braid_receivers_otlp_requests_total"
	writeReceived = "braid_receivers_remotewrite_requests_total"
	notLetIn      = "braid_listen_refused_total"

	otlpSent      = "braid_exporters_otlp_requests_total"
	otlpRejected  = "braid_exporters_otlp_rejected_records_total"
	bulks         = "braid_elasticsearch_bulks_total"
	bulkDuration  = "braid_elasticsearch_bulk_duration_seconds"
	documents     = "braid_elasticsearch_documents_total"
	writeSamples  = "braid_remote_storage_samples_total"
	writeRetried  = "braid_remote_storage_samples_retried_total"
	writeFailed   = "braid_remote_storage_samples_failed_total"
	writeDuration = "braid_remote_storage_sent_batch_duration_seconds"
	highestSent   = "braid_remote_storage_queue_highest_sent_timestamp_seconds"
	storeRejected = "braid_store_rejected_total"

	openFiles      = "braid_logs_open_files"
	logErrors      = "braid_logs_errors_total"
	logLost        = "braid_log_bytes_lost_total"
	logGaps        = "braid_log_gaps_total"
	linesRead      = "braid_logs_records_read_total"
	lineOutcomes   = "braid_logs_records_total"
	linesRefused   = "braid_logs_records_dropped_total"
	scrapeDropped  = "braid_scrape_samples_dropped_total"
	scrapeDisorder = "braid_scrape_out_of_order_samples_total"

	observedSeries  = "braid_traces_series"
	decidedTraces   = "braid_correlate_traces_total"
	decidedSpans    = "braid_correlate_spans_total"
	verdictsDamaged = "braid_correlate_verdicts_damaged_total"
	indexEntries    = "braid_correlate_index_entries"
	indexRefused    = "braid_correlate_index_refused_total"
	exemplars       = "braid_correlate_exemplars_total"
	late            = "braid_links_late_total"

	certificateExpiry = "braid_listen_certificate_expiry_timestamp_seconds"
	certificateReload = "braid_listen_reloads_total"

	reloadGood = "braid_config_last_reload_successful"
	reloadTime = "braid_config_last_reload_success_timestamp_seconds"

	goSys         = "go_memstats_sys_bytes"
	goReleased    = "go_memstats_heap_released_bytes"
	goLimit       = "go_gc_gomemlimit_bytes"
	processFiles  = "process_open_fds"
	processMax    = "process_max_fds"
	processStart  = "process_start_time_seconds"
	observeCursor = "observe"
	decideCursor  = "decide"
	agentCursor   = "aggregator"
)

// catalogue names every metric that is read, with the labels that are looked at.
var catalogue = map[string][]string{
	buildInfo:       {"version"},
	appendedFrames:  {"signal", "outcome"},
	storedBytes:     {},
	laneLimit:       {"signal"},
	lagSeconds:      {"signal", "cursor"},
	lagBytes:        {"signal", "cursor"},
	inFlightFrames:  {"signal", "cursor"},
	outFrames:       {"signal", "cursor"},
	droppedFrames:   {"signal", "cursor", "reason"},
	records:         {"signal", "cursor", "outcome"},
	quarantineBytes: {},

	otlpReceived:  {"signal", "transport", "code"},
	writeReceived: {"code"},
	notLetIn:      {"listener", "reason"},

	otlpSent:      {"exporter", "signal", "code"},
	otlpRejected:  {"exporter", "signal"},
	bulks:         {"exporter", "result"},
	bulkDuration:  {},
	documents:     {"exporter", "data_stream", "result"},
	writeSamples:  {"exporter"},
	writeRetried:  {"exporter"},
	writeFailed:   {"exporter", "url"},
	writeDuration: {},
	highestSent:   {"exporter", "url"},
	storeRejected: {"what", "reason"},

	openFiles:      {},
	logErrors:      {"op"},
	logLost:        {"namespace", "pod", "container", "reason"},
	logGaps:        {"reason"},
	linesRead:      {},
	lineOutcomes:   {"outcome"},
	linesRefused:   {"reason"},
	scrapeDropped:  {},
	scrapeDisorder: {},

	observedSeries:  {},
	decidedTraces:   {},
	decidedSpans:    {},
	verdictsDamaged: {},
	indexEntries:    {},
	indexRefused:    {},
	exemplars:       {"exporter", "outcome"},
	late:            {"kind"},

	certificateExpiry: {"listener"},
	certificateReload: {"listener", "result"},

	reloadGood: {},
	reloadTime: {},

	goSys:        {},
	goReleased:   {},
	goLimit:      {},
	processFiles: {},
	processMax:   {},
	processStart: {},
}

// Metrics returns the name of every metric that findings are made of, with the labels that are looked at.
func Metrics() map[string][]string { return maps.Clone(catalogue) }
