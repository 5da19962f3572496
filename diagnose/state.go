package diagnose

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

func health(in *Input) []Finding {
	var found []Finding
	if a := in.Healthy; a.Status != http.StatusOK && a.Status != 0 {
		f := Finding{Severity: Problem, What: fmt.Sprintf("It says that it is unhealthy: %s.", strings.TrimRight(strings.TrimSpace(a.Text), ".")), Metric: "/-/healthy"}
		f.Do = "Have the volume of data_dir looked at, then restart braid: what was acknowledged is on the disk."
		if strings.Contains(a.Text, "full") {
			f.Do = "Make room on that disk; braid goes on by itself, and senders keep what was not taken."
		}
		found = append(found, f)
	}
	if a := in.Ready; a.Status != http.StatusOK && a.Status != 0 {
		found = append(found, Finding{
			Problem, "", "It is not ready: it takes data, but nothing leaves it and its counts are not shown yet.",
			"After a start wait until the observers have passed what lies in the queue; if it stays like this, its log says which part has failed.", "/-/ready",
		})
	}
	if in.Healthy.Status == 0 || in.Ready.Status == 0 {
		found = append(found, Finding{Warning, "", "Whether it is healthy and ready is not known: it was not asked, or did not answer.", "Ask /-/healthy and /-/ready.", "/-/healthy"})
	}
	return found
}

func diskFailing(in *Input) []Finding {
	failed := in.total(appendedFrames, "outcome", "failed")
	if failed.now == 0 {
		return nil
	}
	severity, since := in.grew(failed)
	return []Finding{{
		severity, "", fmt.Sprintf("The disk of the queue has failed to write %s (%s); their senders were told and send again.", plural(failed.now, "frame"), since),
		"Look at the volume of data_dir: is it full, read-only, failing (dmesg)?", selector(appendedFrames, "outcome", "failed"),
	}}
}

// Dates have whole seconds, and a request takes its time.
const (
	skewWarning = 2 * time.Second
	skewProblem = 30 * time.Second
	skewNoise   = time.Second
)

func clock(in *Input) []Finding {
	var found []Finding
	if !in.Second.Server.IsZero() {
		skew := in.Second.Server.Sub(in.Second.Taken)
		if skew < 0 && skew > -skewNoise {
			skew = 0
		}
		ahead := "ahead of"
		if skew < 0 {
			ahead = "behind"
		}
		severity := Warning
		if skew.Abs() >= skewProblem {
			severity = Problem
		}
		if skew.Abs() > skewWarning+skewNoise {
			found = append(found, Finding{
				severity, "", fmt.Sprintf("Its clock is %s %s this machine's.", age(skew.Seconds()), ahead),
				"Have both synchronised (chrony, systemd-timesyncd): --since, exemplars and rates over both go by these clocks.", "Date header of /metrics",
			})
		}
	}
	for _, r := range in.rows(highestSent) {
		if ahead := r.now - float64(in.clock().Unix()); ahead > skewProblem.Seconds() {
			found = append(found, Finding{
				Warning, "", fmt.Sprintf("Its clock has gone back: it has sent samples that it received %s from now.", age(ahead)),
				"Let the clock be slewed, not stepped; receive times stand still until it has caught up.", selector(highestSent, "exporter", r.label("exporter")),
			})
		}
	}
	return append(found, aheadOfTime(in)...)
}

func certificates(in *Input) []Finding {
	var found []Finding
	for _, r := range in.rows(certificateExpiry) {
		expires := time.Unix(int64(r.now), 0)
		left := expires.Sub(in.clock())
		f := Finding{
			Severity: Warning, Metric: selector(certificateExpiry, "listener", r.label("listener")),
			What: fmt.Sprintf("The certificate of listener %s expires in %s, on %s.", r.label("listener"), age(left.Seconds()), day(expires)),
			Do:   "Renew the files that its tls section names; they are reloaded by themselves.",
		}
		switch {
		case r.now <= 0 || left > 7*24*time.Hour:
			continue
		case left <= 0:
			f.Severity = Problem
			f.What = fmt.Sprintf("The certificate of listener %s has expired on %s: clients that check it do not connect.", r.label("listener"), day(expires))
		}
		found = append(found, f)
	}
	for _, r := range in.where(certificateReload, "result", "error") {
		if r.now == 0 {
			continue
		}
		found = append(found, Finding{
			Warning, "", fmt.Sprintf("Listener %s could not take over a new state of its certificate or token files %s; the state before stays.", r.label("listener"), plural(r.now, "time")),
			"Its log names the file and the error.", selector(certificateReload, "listener", r.label("listener"), "result", "error"),
		})
	}
	return found
}

func configuration(in *Input) []Finding {
	if in.total(reloadGood).now != 0 {
		return nil
	}
	return []Finding{{
		Problem, "", fmt.Sprintf("The last reload of the configuration was refused: what is in use was read %s ago.", age(float64(in.clock().Unix())-in.total(reloadTime).now)),
		"Run braid check on the file; the log has what was refused, with file and line.", reloadGood,
	}}
}

// Receivers answer 429 from 80 % of the limit on.
const (
	memoryBound   = 0.8
	memoryWarning = 0.7
	filesWarning  = 0.8
)

func memory(in *Input) []Finding {
	var found []Finding
	limit, used := in.total(goLimit).now, in.total(goSys).now-in.total(goReleased).now
	if limit > 0 && used/limit >= memoryWarning {
		f := Finding{Severity: Warning, What: fmt.Sprintf("Memory is at %s of its limit (%s of %s); from 80 %% on senders are turned away.", percent(used/limit), size(used), size(limit)), Metric: goLimit,
			Do: "Give it more memory, or lower limits.max_body_bytes and listeners' max_connections."}
		if used/limit >= memoryBound {
			f.Severity, f.What = Problem, fmt.Sprintf("Memory is at %s of its limit (%s of %s), and senders are turned away.", percent(used/limit), size(used), size(limit))
		}
		found = append(found, f)
	}
	most, open := in.total(processMax).now, in.total(processFiles).now
	if most > 0 && open/most >= filesWarning {
		found = append(found, Finding{Warning, "", fmt.Sprintf("%s of %s file descriptors are open.", number(open), number(most)),
			"Raise the limit (ulimit -n, LimitNOFILE).", processFiles})
	}
	return found
}

// aheadOfTime finds nodes whose clocks are ahead: their agents' samples lie in the future.
func aheadOfTime(in *Input) []Finding {
	names := sortedKeys(in.Ahead)
	if len(names) == 0 {
		return nil
	}
	return []Finding{{
		Problem, "", fmt.Sprintf("Samples of %s lie more than a minute in the future: the clocks of the nodes that scraped them are ahead (%s).", plural(float64(len(names)), "target"), list(names)),
		"Have these nodes' clocks synchronised; queries do not see such samples before their time.", "up",
	}}
}
