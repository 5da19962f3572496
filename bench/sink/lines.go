package sink

import (
	"slices"
	"time"

	"github.com/braidhq/braid/bench/tally"
	"github.com/braidhq/braid/telemetry"
)

// Lines counts log lines.
type Lines struct {
	tally.Tally
	// Latency: keep how long each line took from its time stamp to here.
	Latency bool
	took    []time.Duration
}

// Take is for [Take].Logs.
func (l *Lines) Take(batches []*telemetry.Batch) {
	now := time.Now().UnixNano()
	for _, b := range batches {
		uid := ""
		if b.Resource != nil {
			uid = b.Resource.PodUID
		}
		for i := range b.Logs {
			l.Add(tally.Line(uid, &b.Logs[i]))
			if l.Latency {
				l.took = append(l.took, time.Duration(now-b.Logs[i].UnixNano))
			}
		}
	}
}

// Quantile returns the latency below which the share q of the lines lies; 0 without lines.
func (l *Lines) Quantile(q float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	slices.Sort(l.took)
	return l.took[min(len(l.took)-1, int(q*float64(len(l.took))))]
}
