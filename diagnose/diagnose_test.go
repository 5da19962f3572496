package diagnose

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// input makes two readings, five seconds apart, of the lines given. A line is `metric value`, or `metric value value` for
// one that differs.
func input(t *testing.T, lines string) *Input {
	t.Helper()
	var pages [2]strings.Builder
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		for i := range pages {
			fmt.Fprintf(&pages[i], "%s %s\n", fields[0], fields[min(1+i, len(fields)-1)])
		}
	}
	in := &Input{Healthy: Answer{http.StatusOK, "ok"}, Ready: Answer{http.StatusOK, "ok"}}
	for i, reading := range []*Reading{&in.First, &in.Second} {
		page, err := Parse(strings.NewReader(pages[i].String()))
		if err != nil {
			t.Fatal(err)
		}
		taken := at.Add(time.Duration(5*i) * time.Second)
		*reading = Reading{Page: page, Taken: taken.Add(300 * time.Millisecond), Server: taken}
	}
	return in
}

// lagging is an exporter of logs that has not passed a frame; seconds is its age at each reading.
func lagging(seconds string) string {
	return `
braid_pipeline_lag_seconds{signal="logs",cursor="es"} ` + seconds + `
braid_pipeline_lag_bytes{signal="logs",cursor="es"} 1000 2048
braid_pipeline_in_flight_frames{signal="logs",cursor="es"} 1000 1010
braid_pipeline_out_frames_total{signal="logs",cursor="es"} 7
`
}

var findings = []struct{ name, lines, want string }{
	{"lag is judged by both readings", lagging("0 400"), ""},
	{"lag below a minute stands still", lagging("12 17"), `warning: Exporter "es" takes no logs: 1,010 frames (2.0 KiB) wait, the oldest for 17s, and nothing was passed between the two readings.`},
	{"lag that stands still", lagging("61 66"), `problem: Exporter "es" is behind on logs: 1,010 frames (2.0 KiB) wait, the oldest for 1m06s, and nothing was passed between the two readings.`},
	{"lag that grows", strings.Replace(lagging("300 305"), "} 7", "} 7 12", 1), `problem: Exporter "es" is behind on logs: 1,010 frames (2.0 KiB) wait, the oldest for 5m05s, and it grows by 2 frames a second.`},
	{"lag that shrinks", strings.NewReplacer("} 7", "} 7 207", "1000 1010", "1000 900").Replace(lagging("300 305")), `warning: Exporter "es" is behind on logs: 900 frames (2.0 KiB) wait, the oldest for 5m05s, and at this pace it has caught up in 45s.`},
	{"lag of what waits for the decider by design", lagging("12 17") + "braid_correlate_traces_total{verdict=\"kept\"} 1", ""},
	{"an agent's queue", strings.ReplaceAll(lagging("61 66"), `"es"`, `"aggregator"`), `problem: Forwarding to the aggregator is behind on logs: 1,010 frames (2.0 KiB) wait, the oldest for 1m06s, and nothing was passed between the two readings.`},
	{"the decider", strings.NewReplacer("logs", "spans", `"es"`, `"decide"`, "} 7", "} 7 8").Replace(lagging("121 126")) + "braid_correlate_traces_total{verdict=\"kept\"} 1",
		`problem: The sampling decider is behind: 1,010 frames (2.0 KiB) wait, the oldest for 2m06s, sampling.wait included, and it grows by 2 frames a second.`},
	{"the index", "braid_correlate_traces_total{verdict=\"kept\"} 1\nbraid_correlate_index_refused_total 10 20",
		"problem: The trace index was full: 20 facts about traces were not kept (2 a second now), so a trace may have been dropped that a rule would have kept."},
	{"remote-write", strings.NewReplacer("logs", "samples").Replace(lagging("121 126")) + `braid_remote_storage_queue_highest_sent_timestamp_seconds{exporter="es",url="http://h/w?token=x"} ` + fmt.Sprint(at.Unix()-120),
		"problem: Samples reach http://h/w?removed too late: 1,010 frames (2.0 KiB) wait, the oldest for 2m06s, and the newest one sent was received 2m05s ago."},

	{"a full lane", `
braid_pipeline_lane_limit_bytes{signal="logs"} 1048576
braid_pipeline_lag_seconds{signal="logs",cursor="observe"} 0
braid_pipeline_lag_seconds{signal="logs",cursor="local"} 0
braid_pipeline_lag_seconds{signal="logs",cursor="es"} 0
braid_pipeline_lag_bytes{signal="logs",cursor="observe"} 10
braid_pipeline_lag_bytes{signal="logs",cursor="es"} 1000000
braid_pipeline_lag_bytes{signal="logs",cursor="local"} 1040000
braid_pipeline_dropped_frames_total{signal="logs",cursor="local",reason="skipped"} 5 10
braid_pipeline_appended_frames_total{signal="logs",outcome="refused"} 0 60`,
		`problem: The lane of logs is full, and senders are turned away (12 frames a second): exporter "es" holds 95 % of it (976.6 KiB of 1.0 MiB).
problem: Exporter "local" dropped 10 frames of logs, which were skipped because the lane was full (1 a second now).`},
	{"refused without a full lane", "braid_pipeline_lane_limit_bytes{signal=\"logs\"} 1\nbraid_pipeline_appended_frames_total{signal=\"logs\",outcome=\"refused\"} 0 5",
		"problem: Frames of logs are refused (1 a second) although no exporter fills their lane."},
	{"a lane that fills", "braid_pipeline_lane_limit_bytes{signal=\"logs\"} 1000\nbraid_pipeline_lag_seconds{signal=\"logs\",cursor=\"es\"} 0\nbraid_pipeline_lag_bytes{signal=\"logs\",cursor=\"es\"} 600 700",
		`warning: The lane of logs is filling up: exporter "es" holds 70 % of it (700 bytes of 1000 bytes), and at this pace it is full in 15s.`},
	{"refused earlier", "braid_pipeline_lane_limit_bytes{signal=\"logs\"} 1000\nbraid_pipeline_appended_frames_total{signal=\"logs\",outcome=\"refused\"} 5",
		"warning: Earlier 5 frames of logs were refused for want of room; none in the last 5s."},
	{"receivers", `
braid_receivers_otlp_requests_total{signal="logs",transport="http",code="200"} 90
braid_receivers_otlp_requests_total{signal="logs",transport="grpc",code="429"} 0 10
braid_receivers_remotewrite_requests_total{version="2",code="413"} 1 3
braid_listen_refused_total{listener="web",reason="unauthenticated"} 5 10
braid_listen_refused_total{listener="web",reason="user"} 5`,
		`problem: OTLP requests with logs were answered 429 10 of 100 times since the start (2 a second now).
warning: Remote-write requests were answered 413 3 of 3 times since the start (0.4 a second now).
warning: Listener web lets requests not in (unauthenticated): 1 a second.`},

	{"OTLP fails", "braid_exporters_otlp_requests_total{exporter=\"tempo\",signal=\"spans\",code=\"0\"} 1 11\nbraid_exporters_otlp_requests_total{exporter=\"tempo\",signal=\"spans\",code=\"503\"} 3",
		`problem: Exporter "tempo" does not get rid of spans: all 10 failed (there was no answer) in the last 5s.`},
	{"OTLP fails in part", "braid_exporters_otlp_requests_total{signal=\"spans\",code=\"200\"} 0 5\nbraid_exporters_otlp_requests_total{signal=\"spans\",code=\"503\"} 0 1",
		"warning: Forwarding to the aggregator has failures: 1 (the answer was 503) in the last 5s, and 5 were taken."},
	{"OTLP failed once", "braid_exporters_otlp_requests_total{exporter=\"es\",signal=\"logs\",code=\"503\"} 1", ""},
	{"OTLP failed and waits", lagging("3 8") + "braid_exporters_otlp_requests_total{exporter=\"es\",signal=\"logs\",code=\"401\"} 4",
		`problem: Exporter "es" does not get rid of logs: 4 failed (the answer was 401) since the start, and what waits stands still.`},
	{"Elasticsearch fails", "braid_elasticsearch_bulk_duration_seconds 0\nbraid_elasticsearch_bulks_total{exporter=\"es\",result=\"failed\"} 1 2\nbraid_elasticsearch_documents_total{exporter=\"es\",data_stream=\"logs-x\",result=\"refused\"} 3",
		`problem: Exporter "es" does not get rid of anything: all 1 failed as bulk requests in the last 5s.
warning: Elasticsearch has refused 3 documents for logs-x twice, and they are in the dead-letter data stream of exporter "es" (none in the last 5s).`},
	{"Elasticsearch takes spans and no logs", lagging("12 17") + "braid_elasticsearch_bulks_total{exporter=\"es\",result=\"failed\"} 1\nbraid_elasticsearch_bulks_total{exporter=\"es\",result=\"answered\"} 1 5",
		`warning: Exporter "es" takes no logs: 1,010 frames (2.0 KiB) wait, the oldest for 17s, and nothing was passed between the two readings.`},
	{"remote-write fails", "braid_remote_storage_sent_batch_duration_seconds 0\nbraid_remote_storage_samples_retried_total{exporter=\"m\"} 0 5\nbraid_remote_storage_samples_total{exporter=\"m\"} 0 6",
		`warning: Exporter "m" has failures: 5 and will be sent again in the last 5s, and 6 were taken.`},
	{"lines that nobody takes", "braid_logs_records_read_total 150 350\nbraid_logs_records_total{outcome=\"sent\"} 100\nbraid_logs_records_total{outcome=\"rewound\"} 0 200\nbraid_exporters_otlp_requests_total{signal=\"logs\",code=\"429\"} 2",
		`problem: Forwarding to the aggregator does not get rid of logs: 2 failed (the answer was 429) since the start, and what waits stands still.
problem: 50 lines were read and are not acknowledged, and none was between the two readings: the agent waits at its files.`},
	{"lines on their way", "braid_logs_records_read_total 150 350\nbraid_logs_records_total{outcome=\"sent\"} 100 300", ""},

	{"drops", "braid_pipeline_dropped_frames_total{signal=\"logs\",cursor=\"es\",reason=\"corrupt\"} 1\nbraid_pipeline_dropped_frames_total{signal=\"logs\",cursor=\"es\",reason=\"quarantined\"} 1 6\nbraid_pipeline_quarantine_bytes 10 2048",
		`problem: Exporter "es" dropped 6 frames of logs, which could not be decoded or delivered and lie in the quarantine (1 a second now).
problem: The quarantine is not empty: 2.0 KiB of frames that could be neither decoded nor delivered.
warning: Exporter "es" dropped 1 frame of logs, which failed their checksum on disk (none in the last 5s).`},
	{"records", `
braid_pipeline_stored_bytes_total{signal="logs"} 1
braid_pipeline_records_total{signal="samples",cursor="m",outcome="invalid"} 0 5
braid_pipeline_records_total{signal="samples",cursor="m",outcome="delivered"} 0 5
braid_logs_records_dropped_total{reason="refused"} 4
braid_exporters_otlp_rejected_records_total{exporter="tempo",signal="spans"} 2
braid_remote_storage_samples_failed_total{exporter="m",url="http://u:p@h/"} 7
braid_store_rejected_total{what="sample",reason="out-of-order"} 1
braid_pipeline_appended_frames_total{signal="logs",outcome="failed"} 1`,
		`problem: 5 records of samples were invalid and not delivered to m (1 a second now).
warning: The disk of the queue has failed to write 1 frame (none in the last 5s); their senders were told and send again.
warning: The aggregator has refused 4 lines of this agent for good, and they are lost (none in the last 5s).
warning: Exporter "tempo": 2 records of spans were rejected by the other side out of requests that it took (none in the last 5s).
warning: 7 samples were refused for good by http://removed@h/, and are lost (none in the last 5s).
warning: The store has refused 1 sample (out-of-order) (none in the last 5s).`},
	{"verdicts", "braid_correlate_verdicts_damaged_total 2", "warning: 2 records of the verdict log were damaged or missing (none in the last 5s): the traces they named count as dropped for exporters that had not passed them."},
	{"links", `
braid_correlate_index_entries 1
braid_links_late_total{kind="error_line"} 1 6
braid_links_late_total{kind="span"} 20
braid_correlate_spans_total 1000
braid_correlate_exemplars_total{exporter="m",outcome="kept"} 170
braid_correlate_exemplars_total{exporter="m",outcome="repeated"} 1000
braid_correlate_exemplars_total{exporter="m",outcome="unknown"} 20
braid_correlate_exemplars_total{exporter="m",outcome="expired"} 10
braid_correlate_exemplars_total{exporter="few",outcome="unknown"} 20
braid_correlate_exemplars_total{exporter="good",outcome="dropped"} 200`,
		`warning: 6 error lines came when their trace had been decided and was not kept (1 a second now).
warning: 2 % of spans (20) came after their trace was decided; they follow the verdict, but had no part in it.
warning: Exporter "m" stripped 15 % of exemplars because they lead to no trace (10: their trace came too late; 20: no span of their trace came).`},

	{"log files", "braid_logs_open_files 1\nbraid_logs_errors_total{op=\"open\"} 1 11\nbraid_logs_errors_total{op=\"watch\"} 1\nbraid_logs_errors_total{op=\"write\"} 5 9",
		`problem: The agent failed to open a log file 11 times since its start (2 a second now).
warning: The agent failed to watch a directory 1 time since its start (none in the last 5s).`},
	{"lost lines", `
braid_logs_open_files 1
braid_log_bytes_lost_total{namespace="a",pod="p",container="c",reason="deleted"} 100
braid_log_bytes_lost_total{namespace="a",pod="q",container="c",reason="deleted"} 1000 3000
braid_log_gaps_total{reason="truncated"} 1`,
		`problem: 3.0 KiB of log were lost in 2 containers, because their file went by rotation or with its pod (400 a second now); most in a/q, container c.
warning: Logs have 1 gap of unknown size: truncated (none in the last 5s).`},
	{"scraping", "braid_scrape_samples_dropped_total 0 50\nbraid_scrape_out_of_order_samples_total 0 10",
		"problem: 50 samples were scraped and lost, because the queue did not take them (10 a second now).\nwarning: 2 samples a second come out of order and are refused."},

	{"certificates", fmt.Sprintf(`
braid_listen_certificate_expiry_timestamp_seconds{listener="soon"} %d
braid_listen_certificate_expiry_timestamp_seconds{listener="over"} %d
braid_listen_certificate_expiry_timestamp_seconds{listener="good"} %d
braid_listen_reloads_total{listener="soon",result="error"} 2
braid_listen_reloads_total{listener="soon",result="ok"} 2`, at.Add(72*time.Hour+5*time.Second).Unix(), at.Add(-time.Hour).Unix(), at.Add(8*24*time.Hour).Unix()),
		`problem: The certificate of listener over has expired on 2026-11-25 11:00 UTC: clients that check it do not connect.
warning: The certificate of listener soon expires in 3d0h, on 2026-11-28 12:00 UTC.
warning: Listener soon could not take over a new state of its certificate or token files 2 times; the state before stays.`},
	{"a reload that was refused", fmt.Sprintf("braid_config_last_reload_successful 0\nbraid_config_last_reload_success_timestamp_seconds %d", at.Unix()-3600),
		"problem: The last reload of the configuration was refused: what is in use was read 1h00m ago."},
	{"memory", "go_memstats_sys_bytes 1000\ngo_memstats_heap_released_bytes 200\ngo_gc_gomemlimit_bytes 1000\nprocess_open_fds 80\nprocess_max_fds 100",
		"problem: Memory is at 80 % of its limit (800 bytes of 1000 bytes), and senders are turned away.\nwarning: 80 of 100 file descriptors are open."},
	{"memory without a limit", "go_memstats_sys_bytes 1000\ngo_gc_gomemlimit_bytes 9.223372036854776e+18", ""},
	{"a restart in between", "braid_pipeline_quarantine_bytes 0\nbraid_pipeline_dropped_frames_total{signal=\"logs\",cursor=\"es\",reason=\"skipped\"} 100 5", `problem: Exporter "es" dropped 5 frames of logs, which were skipped because the lane was full (1 a second now).`},
}

func TestFindings(t *testing.T) {
	for _, c := range findings {
		if got := words(Run(input(t, c.lines))); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// words are the findings that are not fine, a line each. Each has something to do, and a metric of the catalogue or a path.
func words(all []Finding) string {
	var lines []string
	for _, f := range all {
		if f.Severity != Fine {
			lines = append(lines, string(f.Severity)+": "+f.What)
		}
		name, _, _ := strings.Cut(f.Metric, "{")
		_, known := Metrics()[name]
		if f.Severity != Fine && (f.Do == "" || f.Check == "" || !known && name != "up" && !strings.Contains(name, "/")) {
			lines = append(lines, fmt.Sprintf("incomplete: %+v", f))
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "1,000 bytes", "1000 bytes")
}

func TestHealthAndClock(t *testing.T) {
	for _, c := range []struct {
		edit func(*Input)
		want string
	}{
		{func(*Input) {}, ""},
		{func(in *Input) { in.Healthy = Answer{503, "the disk of /data is full\n"} }, "problem: It says that it is unhealthy: the disk of /data is full."},
		{func(in *Input) { in.Ready = Answer{503, "braid is not ready.\n"} }, "problem: It is not ready: it takes data, but nothing leaves it and its counts are not shown yet."},
		{func(in *Input) { in.Ready = Answer{} }, "warning: Whether it is healthy and ready is not known: it was not asked, or did not answer."},
		{func(in *Input) { in.Second.Server = in.Second.Taken.Add(-4 * time.Second) }, "warning: Its clock is 4s behind this machine's."},
		{func(in *Input) { in.Second.Server = in.Second.Taken.Add(time.Minute) }, "problem: Its clock is 1m00s ahead of this machine's."},
		{func(in *Input) { in.Second.Server = time.Time{} }, ""},
		{func(in *Input) { in.Ahead = map[string]float64{"b:1": 5, "a:1": 2} },
			"problem: Samples of 2 targets lie more than a minute in the future: the clocks of the nodes that scraped them are ahead (a:1, b:1)."},
	} {
		in := input(t, "braid_build_info 1")
		c.edit(in)
		if got := words(Run(in)); got != c.want {
			t.Errorf("%s\nwant\n%s", got, c.want)
		}
	}
	in := input(t, fmt.Sprintf("braid_remote_storage_queue_highest_sent_timestamp_seconds{exporter=\"m\",url=\"u\"} %d", at.Unix()+3600))
	if got := words(Run(in)); got != "warning: Its clock has gone back: it has sent samples that it received 59m55s from now." {
		t.Error(got)
	}
}

// A process that has nothing of a kind hears nothing about it; what is fine is said once a check.
func TestWhatIsNotThereIsNotFine(t *testing.T) {
	names := func(lines string) (all []string) {
		for _, f := range Run(input(t, lines)) {
			all = append(all, string(f.Severity)+" "+f.Check)
		}
		return all
	}
	if got := names("braid_build_info 1"); !slices.Equal(got, []string{"fine health", "fine clock"}) {
		t.Error(got)
	}
	if got := names("braid_logs_open_files 1\nbraid_pipeline_quarantine_bytes 0"); !slices.Equal(got, []string{"fine health", "fine quarantine", "fine log_files", "fine log_losses", "fine clock"}) {
		t.Error(got)
	}
}

func TestRole(t *testing.T) {
	for lines, want := range map[string]string{
		"braid_pipeline_lag_bytes{cursor=\"aggregator\"} 1": "agent", "braid_pipeline_lag_bytes{cursor=\"observe\"} 1": "aggregator", "x 1": "",
	} {
		if got := Role(input(t, lines).First.Page); got != want {
			t.Errorf("%s is an %q", lines, got)
		}
	}
	version, started := Version(input(t, "braid_build_info{version=\"1.2\"} 1\nprocess_start_time_seconds 86400").First.Page)
	if version != "1.2" || !started.Equal(time.Unix(86400, 0)) {
		t.Error(version, started)
	}
}

func TestAnUnknownMetricIsABug(t *testing.T) {
	for name, read := range map[string]func(*Input){
		"metric": func(in *Input) { in.rows("braid_nothing") },
		"label":  func(in *Input) { in.where(buildInfo, "color", "red") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("an unknown %s is read", name)
				}
			}()
			read(input(t, "braid_build_info 1"))
		}()
	}
	edited := Metrics()
	maps.DeleteFunc(edited, func(string, []string) bool { return true })
	if len(Metrics()) == 0 {
		t.Error("the catalogue can be emptied from outside")
	}
}

func TestNoPage(t *testing.T) {
	if _, err := Parse(strings.NewReader("<html>")); err == nil {
		t.Error("a page of HTML is taken for metrics")
	}
}
