package diagnose

import (
	"fmt"
	"strings"
)

var dropWords = map[string][2]string{
	"skipped":     {"were skipped because the lane was full", "Bring the exporter's backend back, raise queue.max_bytes, or do without optional: true: senders then wait in its place."},
	"corrupt":     {"failed their checksum on disk", "Look at the disk (dmesg, SMART): a crash alone does not do this."},
	"quarantined": {"could not be decoded or delivered and lie in the quarantine", "See data_dir/queue/quarantine, each of whose files begins with the reason as text, and the log (a frame is quarantined)."},
}

func drops(in *Input) []Finding {
	var found []Finding
	for _, r := range in.rows(droppedFrames) {
		if r.now == 0 {
			continue
		}
		severity, since := in.grew(r)
		words := dropWords[r.label("reason")]
		found = append(found, Finding{
			severity, "", fmt.Sprintf("%s dropped %s of %s, which %s (%s).", reader(r.label("cursor")), plural(r.now, "frame"), r.label("signal"), words[0], since),
			words[1], selector(droppedFrames, "signal", r.label("signal"), "cursor", r.label("cursor"), "reason", r.label("reason")),
		})
	}
	return found
}

// refused counts records that somebody refuses for good, one by one.
func refused(in *Input) []Finding {
	var found []Finding
	add := func(r row, what, do, metric string) {
		if r.now > 0 {
			severity, since := in.grew(r)
			found = append(found, Finding{severity, "", fmt.Sprintf("%s (%s).", what, since), do, metric})
		}
	}
	for _, r := range in.where(records, "outcome", "invalid") {
		add(r, fmt.Sprintf("%s of %s were invalid and not delivered to %s", plural(r.now, "record"), r.label("signal"), r.label("cursor")),
			"Find the sender: series need a name and sorted, unique labels.", selector(records, "signal", r.label("signal"), "cursor", r.label("cursor"), "outcome", "invalid"))
	}
	for _, r := range in.rows(linesRefused) {
		add(r, fmt.Sprintf("The aggregator has refused %s of this agent for good, and they are lost", plural(r.now, "line")),
			"See the status of its answers (413: raise limits.max_body_bytes there; 400: something between the two changes bodies).", linesRefused)
	}
	for _, r := range in.rows(otlpRejected) {
		add(r, fmt.Sprintf("%s: %s of %s were rejected by the other side out of requests that it took", sender(r.label("exporter")), plural(r.now, "record"), r.label("signal")),
			"See the other side's log for the reason (limits, time range, attributes).", selector(otlpRejected, "exporter", r.label("exporter"), "signal", r.label("signal")))
	}
	for _, r := range in.rows(writeFailed) {
		add(r, fmt.Sprintf("%s were refused for good by %s, and are lost", plural(r.now, "sample"), endpoint(&r)),
			"See the answer in the log (a frame is quarantined): out of order, too old, or a limit of the endpoint.", selector(writeFailed, "exporter", r.label("exporter")))
	}
	for _, r := range in.rows(storeRejected) {
		add(r, fmt.Sprintf("The store has refused %s (%s)", plural(r.now, r.label("what")), r.label("reason")),
			"See whether two senders write the same series, or a sender's clock is wrong.", selector(storeRejected, "what", r.label("what"), "reason", r.label("reason")))
	}
	return found
}

func quarantine(in *Input) []Finding {
	bytes := in.total(quarantineBytes)
	if bytes.now == 0 {
		return nil
	}
	severity := Warning
	if bytes.grown > 0 {
		severity = Problem
	}
	return []Finding{{
		severity, "", fmt.Sprintf("The quarantine is not empty: %s of frames that could be neither decoded nor delivered.", size(bytes.now)),
		"Look into data_dir/queue/quarantine: a file's name has signal, position and cursor, its beginning the reason; delete what nobody needs.", quarantineBytes,
	}}
}

func deadLetters(in *Input) []Finding {
	var found []Finding
	for _, r := range in.where(documents, "result", "refused") {
		if r.now == 0 {
			continue
		}
		severity, since := in.grew(r)
		found = append(found, Finding{
			severity, "", fmt.Sprintf("Elasticsearch has refused %s for %s twice, and they are in the dead-letter data stream of exporter %q (%s).",
				plural(r.now, "document"), r.label("data_stream"), r.label("exporter"), since),
			"Search that data stream: error.message names the field; put the mapping right in braid@custom and roll the data stream over.",
			selector(documents, "exporter", r.label("exporter"), "data_stream", r.label("data_stream"), "result", "refused"),
		})
	}
	return found
}

func verdicts(in *Input) []Finding {
	damaged := in.total(verdictsDamaged)
	if damaged.now == 0 {
		return nil
	}
	severity, since := in.grew(damaged)
	return []Finding{{
		severity, "", fmt.Sprintf("%s of the verdict log were damaged or missing (%s): the traces they named count as dropped for exporters that had not passed them.", plural(damaged.now, "record"), since),
		"Look at the disk under data_dir/verdicts; in braid there is nothing to repair.", verdictsDamaged,
	}}
}

// From these shares on, of at least so many, something is wrong rather than unlucky.
const (
	lateShare     = 0.01
	strippedShare = 0.10
	enough        = 100
)

// strippedWords are outcomes of exemplars for which nobody has decided: not dropped (its trace is not kept) or repeated.
var strippedWords = map[string]string{
	"unknown": "no span of their trace came", "expired": "their trace came too late", "invalid": "their trace id is none",
	"overflow": "too many waited", "unattached": "no later sample of their series came",
}

func links(in *Input) []Finding {
	var found []Finding
	if lines := in.total(late, "kind", "error_line"); lines.now > 0 {
		_, since := in.grew(lines)
		found = append(found, Finding{
			Warning, "", fmt.Sprintf("%s came when their trace had been decided and was not kept (%s).", plural(lines.now, "error line"), since),
			"Raise sampling.wait if agents deliver lines later than that; see their lag.", selector(late, "kind", "error_line"),
		})
	}
	spans, all := in.total(late, "kind", "span"), in.total(decidedSpans)
	if all.now >= enough && spans.now > lateShare*all.now {
		found = append(found, Finding{
			Warning, "", fmt.Sprintf("%s of spans (%s) came after their trace was decided; they follow the verdict, but had no part in it.", percent(spans.now/all.now), number(spans.now)),
			"Raise sampling.wait above what the slowest service takes to export its spans.", selector(late, "kind", "span"),
		})
	}
	return append(found, strippedExemplars(in)...)
}

func strippedExemplars(in *Input) []Finding {
	totals, stripped, why := map[string]float64{}, map[string]float64{}, map[string][]string{}
	for _, r := range in.rows(exemplars) {
		outcome, exporter := r.label("outcome"), r.label("exporter")
		if outcome != "repeated" {
			totals[exporter] += r.now
		}
		if words := strippedWords[outcome]; words != "" && r.now > 0 {
			stripped[exporter] += r.now
			why[exporter] = append(why[exporter], fmt.Sprintf("%s: %s", number(r.now), words))
		}
	}
	var found []Finding
	for _, exporter := range sortedKeys(totals) {
		if totals[exporter] < enough || stripped[exporter] < strippedShare*totals[exporter] {
			continue
		}
		found = append(found, Finding{
			Warning, "", fmt.Sprintf("Exporter %q stripped %s of exemplars because they lead to no trace (%s).", exporter, percent(stripped[exporter]/totals[exporter]), strings.Join(why[exporter], "; ")),
			"See that the services whose metrics carry exemplars send their spans here, unsampled and in time; exemplars: passthrough ships all.", selector(exemplars, "exporter", exporter),
		})
	}
	return found
}
