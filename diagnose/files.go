package diagnose

import "fmt"

var opWords = map[string][2]string{
	"list":  {"list a directory of logs", "See that the agent may read and enter the directories (root, or group 0) and that they are mounted."},
	"open":  {"open a log file", "See that the agent may read the files (root, or group 0), that links lead somewhere and that the limit of open files is not reached."},
	"read":  {"read a log file", "See the disk, and that what is named as a log file is a file."},
	"watch": {"watch a directory", "Raise fs.inotify.max_user_watches and max_user_instances; until then files are found by listing only."},
	"state": {"save its positions", "See the disk of data_dir: after a crash lines would be sent again."},
}

func logFiles(in *Input) []Finding {
	var found []Finding
	for _, r := range in.rows(logErrors) {
		words, known := opWords[r.label("op")]
		if !known || r.now == 0 { // an unanswered write is the business of exporters
			continue
		}
		severity, since := in.grew(r)
		found = append(found, Finding{
			severity, "", fmt.Sprintf("The agent failed to %s %s since its start (%s).", words[0], plural(r.now, "time"), since),
			words[1] + " Its log names the path.", selector(logErrors, "op", r.label("op")),
		})
	}
	return found
}

var lostWords = map[string]string{
	"deleted":      "their file went by rotation or with its pod",
	"open-limit":   "rotated files that were held open took more than limits.max_rotated_bytes",
	"corrupt-gzip": "the compressed file is damaged",
	"rewound":      "they were read, not acknowledged, and gone at the second reading",
	"late-write":   "they were written to a file after it was finished",
}

func logLosses(in *Input) []Finding {
	type sum struct {
		row
		worst      row
		containers int
	}
	by := map[string]*sum{}
	for _, r := range in.rows(logLost) {
		if r.now == 0 {
			continue
		}
		s := by[r.label("reason")]
		if s == nil {
			s = &sum{}
			by[r.label("reason")] = s
		}
		s.now, s.grown, s.containers = s.now+r.now, s.grown+r.grown, s.containers+1
		if s.worst.labels == nil || r.now > s.worst.now {
			s.worst = r
		}
	}
	var found []Finding
	for _, reason := range sortedKeys(by) {
		s := by[reason]
		severity, since := in.grew(s.row)
		found = append(found, Finding{
			severity, "", fmt.Sprintf("%s of log were lost in %s, because %s (%s); most in %s/%s, container %s.", size(s.now), plural(float64(s.containers), "container"), lostWords[reason], since,
				s.worst.label("namespace"), s.worst.label("pod"), s.worst.label("container")),
			"If lines are not acknowledged either, bring the aggregator back first; else let the kubelet keep more (containerLogMaxSize, containerLogMaxFiles) or have the container write less.",
			selector(logLost, "reason", reason),
		})
	}
	for _, r := range in.rows(logGaps) {
		if r.now == 0 {
			continue
		}
		severity, since := in.grew(r)
		found = append(found, Finding{
			severity, "", fmt.Sprintf("Logs have %s of unknown size: %s (%s).", plural(r.now, "gap"), r.label("reason"), since),
			"The agent's log has a line for each (gap in a log), with container and time; keep the agent's absences shorter than rotated files last.", selector(logGaps, "reason", r.label("reason")),
		})
	}
	return found
}

func scraping(in *Input) []Finding {
	var found []Finding
	if r := in.total(scrapeDropped); r.now > 0 {
		severity, since := in.grew(r)
		found = append(found, Finding{severity, "", fmt.Sprintf("%s were scraped and lost, because the queue did not take them (%s).", plural(r.now, "sample"), since),
			"See backpressure and disk of this agent.", scrapeDropped})
	}
	if r := in.total(scrapeDisorder); r.grown > 0 {
		found = append(found, Finding{Warning, "", fmt.Sprintf("%s samples a second come out of order and are refused.", number(r.grown/in.seconds())),
			"Find two targets with the same labels, or one that exposes time stamps that go back.", scrapeDisorder})
	}
	return found
}
