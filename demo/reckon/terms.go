package reckon

import "time"

// hop is how long anything takes at most to reach the aggregator once it has left the shop. Only an outage makes it longer.
const hop = time.Second

// Terms are what a run is reckoned by beside what was written in it.
type Terms struct {
	// What the aggregator's configuration says: a trace is decided from what came within Wait of its first span, and what
	// comes within Late after that follows the verdict. A span longer than Slow keeps its trace. Of the traces without any
	// reason Share is kept.
	Wait, Late, Slow time.Duration
	Share            float64

	Outages   Outages
	Exemplars bool // the run was long enough for some to be there
}

// An Outage is a time without an aggregator: from before it went until it was ready again.
type Outage struct{ From, To time.Time }

// over returns when every sender has tried again. They wait up to twice as long after each failure, so the pause in which
// the aggregator came back was no longer than twice the outage before it.
func (o *Outage) over() time.Time { return o.To.Add(2 * o.To.Sub(o.From)) }

// Outages are those of one run, in order.
type Outages []Outage

// latest returns when that which left the shop at a time has reached the aggregator at the latest.
func (os Outages) latest(left time.Time) time.Time {
	at := left.Add(hop)
	for i := range os {
		if o := &os[i]; !at.Before(o.From) && left.Before(o.over()) {
			at = o.over().Add(hop)
		}
	}
	return at
}
