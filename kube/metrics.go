package kube

import "github.com/prometheus/client_golang/prometheus"

type metrics struct{ reviews *prometheus.CounterVec }

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "braid_kube_reviews_total",
		Help: "TokenReviews (kind token) and SubjectAccessReviews (kind access) asked of the API server, by result: yes, no or error.",
	}, []string{"kind", "result"})}
	if r != nil {
		r.MustRegister(m.reviews)
	}
	return m
}
