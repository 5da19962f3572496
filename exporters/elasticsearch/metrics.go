package elasticsearch

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	documents   *prometheus.CounterVec // data_stream, result
	retries     prometheus.Counter
	settled     prometheus.Counter
	bulks       *prometheus.CounterVec // result
	bulkBytes   *prometheus.CounterVec // form
	bulkSeconds prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		documents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_elasticsearch_documents_total",
			Help: "Documents by what became of them: stored, conflict (there already when sent), already (found stored when in doubt), refused (in the dead letter).",
		}, []string{"data_stream", "result"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_elasticsearch_item_retries_total",
			Help: "Items of bulk requests that were refused and sent again, for now or in their plain form.",
		}),
		settled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_elasticsearch_documents_in_doubt_total",
			Help: "Documents looked up before sending, because they might have been stored already.",
		}),
		bulks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_elasticsearch_bulks_total",
			Help: "Bulk requests by result: answered or failed.",
		}, []string{"result"}),
		bulkBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_elasticsearch_bulk_bytes_total",
			Help: "Bytes of bulk bodies, plain and as sent.",
		}, []string{"form"}),
		bulkSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "braid_elasticsearch_bulk_duration_seconds",
			Help:    "Time from sending a bulk request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2.5, 10),
		}),
	}
	if r != nil {
		r.MustRegister(m.documents, m.retries, m.settled, m.bulks, m.bulkBytes, m.bulkSeconds)
	}
	return m
}
