package diagnose

import (
	"fmt"
)

// Shares of a lane.
const (
	laneWarning = 0.7
	laneFull    = 0.85 // segments are an eighth of a lane, and go as a whole
)

func backpressure(in *Input) []Finding {
	var found []Finding
	for _, limit := range in.rows(laneLimit) {
		signal := limit.label("signal")
		holder := in.holder(signal)
		refused := in.total(appendedFrames, "signal", signal, "outcome", "refused")
		share := 0.0
		if limit.now > 0 && holder != nil {
			share = holder.bytes.now / limit.now
		}
		switch {
		case refused.grown > 0 && share >= laneFull:
			found = append(found, Finding{
				Problem, "", fmt.Sprintf("The lane of %s is full, and senders are turned away (%s frames a second): %s holds %s of it (%s of %s).",
					signal, number(refused.grown/in.seconds()), holderName(holder), percent(share), size(holder.bytes.now), size(limit.now)),
				holderRemedy(holder), selector(lagBytes, "signal", signal, "cursor", holder.cursor),
			})
		case refused.grown > 0:
			found = append(found, Finding{
				Problem, "", fmt.Sprintf("Frames of %s are refused (%s a second) although no exporter fills their lane.", signal, number(refused.grown/in.seconds())),
				"See health for a full disk, and the log for what is refused.", selector(appendedFrames, "signal", signal, "outcome", "refused"),
			})
		case share >= laneWarning:
			found = append(found, in.filling(holder, limit, share))
		case refused.now > 0:
			found = append(found, Finding{
				Warning, "", fmt.Sprintf("Earlier %s of %s were refused for want of room; none in the last %s.", plural(refused.now, "frame"), signal, age(in.seconds())),
				"If it comes again, see which exporter was away then, or raise queue.max_bytes.", selector(appendedFrames, "signal", signal, "outcome", "refused"),
			})
		}
	}
	return found
}

func (in *Input) filling(holder *backlog, limit row, share float64) Finding {
	f := Finding{
		Severity: Warning, Metric: selector(lagBytes, "signal", holder.signal, "cursor", holder.cursor), Do: holderRemedy(holder),
		What: fmt.Sprintf("The lane of %s is filling up: %s holds %s of it (%s of %s)", holder.signal, holderName(holder), percent(share), size(holder.bytes.now), size(limit.now)),
	}
	if pace := (holder.bytes.now - holder.bytes.before) / in.seconds(); pace > 0 {
		f.What += fmt.Sprintf(", and at this pace it is full in %s", age(max(0, limit.now-holder.bytes.now)/pace))
	}
	f.What += "."
	return f
}

// holder returns the cursor with the most bytes of a lane ahead of it, nil if nothing is. An optional one whose frames are
// being skipped holds nobody up.
func (in *Input) holder(signal string) *backlog {
	var most *backlog
	for _, b := range in.backlogs() {
		skips := in.total(droppedFrames, "signal", signal, "cursor", b.cursor, "reason", "skipped").grown > 0
		if b.signal == signal && !skips && b.bytes.now > 0 && (most == nil || b.bytes.now > most.bytes.now) {
			most = &b
		}
	}
	return most
}

func holderName(b *backlog) string {
	switch b.cursor {
	case observeCursor:
		return "the observers' cursor"
	case decideCursor:
		return "the sampling decider"
	case agentCursor:
		return "forwarding to the aggregator"
	}
	return fmt.Sprintf("exporter %q", b.cursor)
}

func holderRemedy(b *backlog) string {
	switch b.cursor {
	case observeCursor, decideCursor:
		return "Give the aggregator CPU or a faster disk; to win time raise queue.max_bytes."
	case agentCursor:
		return "Bring the aggregator back; to win time raise queue.max_bytes."
	}
	return "Bring its backend back, or set optional: true on the exporter if its oldest data may be skipped; to win time raise queue.max_bytes."
}

// answers are the requests of one kind by how they were answered.
type answers struct {
	metric, sender string // sender: who sends them, as the beginning of a sentence
	signal         string
	all            row
	bad            map[string]row // by status
}

func (a *answers) add(code string, r row) {
	a.all.grown, a.all.now = a.all.grown+r.grown, a.all.now+r.now
	if len(code) == 3 && code[0] == '2' || r.now == 0 {
		return
	}
	if a.bad == nil {
		a.bad = map[string]row{}
	}
	sum := a.bad[code]
	sum.grown, sum.now = sum.grown+r.grown, sum.now+r.now
	a.bad[code] = sum
}

func receivers(in *Input) []Finding {
	otlp := map[string]*answers{}
	for _, r := range in.rows(otlpReceived) {
		signal := r.label("signal")
		if otlp[signal] == nil {
			otlp[signal] = &answers{metric: otlpReceived, signal: signal, sender: "OTLP requests with " + signal}
		}
		otlp[signal].add(r.label("code"), r)
	}
	write := &answers{metric: writeReceived, sender: "Remote-write requests"}
	for _, r := range in.rows(writeReceived) {
		write.add(r.label("code"), r)
	}
	var found []Finding
	for _, signal := range sortedKeys(otlp) {
		found = append(found, in.received(otlp[signal])...)
	}
	found = append(found, in.received(write)...)
	for _, r := range in.rows(notLetIn) {
		if r.grown > 0 {
			found = append(found, Finding{
				Warning, "", fmt.Sprintf("Listener %s lets requests not in (%s): %s a second.", r.label("listener"), r.label("reason"), number(r.grown/in.seconds())),
				"Give the sender a token or certificate that the listener's auth section knows; the log says who asked.",
				selector(notLetIn, "listener", r.label("listener"), "reason", r.label("reason")),
			})
		}
	}
	return found
}

// received says what senders were answered that is no success.
func (in *Input) received(a *answers) []Finding {
	var found []Finding
	for _, code := range sortedKeys(a.bad) {
		r := a.bad[code]
		severity, since := in.grew(r)
		f := Finding{Severity: severity, Metric: selector(a.metric, "signal", a.signal, "code", code)}
		f.What = fmt.Sprintf("%s were answered %s %s of %s times since the start (%s).", a.sender, code, number(r.now), number(a.all.now), since)
		switch {
		case code == "429":
			f.Do = "Nothing is lost while senders try again; the lane, the memory limit or the bodies held at once are what is full: see backpressure and memory."
		case code == "413":
			f.Do = "Raise limits.max_body_bytes, or have the sender send smaller batches: what it sent is refused for good."
		case code[0] == '4':
			f.Do = "Find the sender: what it sends is refused for good; the answer's body tells it why."
		default:
			f.Do = "See disk and health, and the log; senders try again."
		}
		if code[0] == '4' && code != "429" && severity == Problem {
			f.Severity = Warning // it is the sender's data, and braid is well
		}
		found = append(found, f)
	}
	return found
}
