package pipeline

import "github.com/prometheus/client_golang/prometheus"

// gauges reads the state of the lanes when it is asked for, so that no hot path keeps them up to date.
type gauges struct {
	q                                      *Queue
	size, limit, lag, inFlight, late, jail *prometheus.Desc
}

func newGauges() gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("braid_pipeline_"+name, help, labels, nil)
	}
	return gauges{
		size:     desc("lane_bytes", "What a lane's segments take on disk.", "signal"),
		limit:    desc("lane_limit_bytes", "What a lane's segments may take on disk.", "signal"),
		lag:      desc("lag_bytes", "Bytes of frames that a cursor has not committed yet.", "signal", "cursor"),
		inFlight: desc("in_flight_frames", "Frames that a cursor has not committed yet.", "signal", "cursor"),
		late:     desc("lag_seconds", "Age of the oldest frame that a cursor has read and not committed yet; 0: there is none.", "signal", "cursor"),
		jail:     desc("quarantine_bytes", "What the quarantine takes on disk."),
	}
}

// Describe implements [prometheus.Collector].
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.size, g.limit, g.lag, g.inFlight, g.late, g.jail} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	now := g.q.options.Now().UnixNano()
	for _, l := range g.q.lanes {
		signal := l.signal.String()
		gauge(g.size, float64(l.bytes()), signal)
		gauge(g.limit, float64(l.maxBytes), signal)
		for _, c := range l.opened() {
			frames, bytes := c.Lag()
			gauge(g.lag, float64(bytes), signal, c.name)
			gauge(g.inFlight, float64(frames), signal, c.name)
			gauge(g.late, c.age(now).Seconds(), signal, c.name)
		}
	}
	gauge(g.jail, float64(g.q.jail.bytes()))
}
