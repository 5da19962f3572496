package query

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
)

// A ProcessView is what the metrics process_* say of a participant of a trace at the trace's end. It is joined by the
// labels namespace and pod, or else by service and, where a service has several, instance.
type ProcessView struct {
	Namespace     string    `json:"namespace,omitempty"`
	Pod           string    `json:"pod,omitempty"`
	Service       string    `json:"service,omitempty"`
	Instance      string    `json:"instance,omitempty"`
	Time          time.Time `json:"time"`
	CPUCores      *float64  `json:"cpu_cores,omitempty"` // over the last two minutes
	ResidentBytes *float64  `json:"resident_memory_bytes,omitempty"`
}

const (
	cpuExpr    = `sum by (%s) (rate(process_cpu_seconds_total{%s=~%q}[2m]))`
	memoryExpr = `sum by (%s) (process_resident_memory_bytes{%s=~%q})`
)

// processes returns those of places that have metrics.
func (h *handler) processes(ctx context.Context, places []place, at time.Time) ([]ProcessView, error) {
	var pods, services []string
	for _, p := range places {
		if p.pod != "" {
			pods = append(pods, regexp.QuoteMeta(p.pod))
		} else {
			services = append(services, regexp.QuoteMeta(p.service))
		}
	}
	found := make([]ProcessView, len(places))
	for i, p := range places {
		found[i] = ProcessView{Namespace: p.namespace, Pod: p.pod, Service: p.service, Instance: p.instance, Time: at}
	}
	for _, ask := range []struct {
		expr, by, label string
		values          []string
		field           func(*ProcessView) **float64
	}{
		{cpuExpr, "namespace, pod", "pod", pods, func(v *ProcessView) **float64 { return &v.CPUCores }},
		{memoryExpr, "namespace, pod", "pod", pods, func(v *ProcessView) **float64 { return &v.ResidentBytes }},
		{cpuExpr, "service, instance", "service", services, func(v *ProcessView) **float64 { return &v.CPUCores }},
		{memoryExpr, "service, instance", "service", services, func(v *ProcessView) **float64 { return &v.ResidentBytes }},
	} {
		if len(ask.values) == 0 {
			continue
		}
		vector, err := h.vector(ctx, fmt.Sprintf(ask.expr, ask.by, ask.label, strings.Join(ask.values, "|")), at)
		if err != nil {
			return nil, err
		}
		for i, p := range places {
			if value, ok := valueAt(vector, p); ok {
				*ask.field(&found[i]) = &value
			}
		}
	}
	return slices.DeleteFunc(found, func(v ProcessView) bool { return v.CPUCores == nil && v.ResidentBytes == nil }), nil
}

// valueAt returns p's value; which of several instances of a service p is, only its own instance can tell.
func valueAt(vector promql.Vector, p place) (value float64, ok bool) {
	matches := 0
	for _, s := range vector {
		if p.pod != "" {
			if s.Metric.Get("namespace") == p.namespace && s.Metric.Get("pod") == p.pod {
				return s.F, true
			}
			continue
		}
		if s.Metric.Get("service") != p.service {
			continue
		}
		if p.instance != "" && s.Metric.Get("instance") == p.instance {
			return s.F, true
		}
		matches++
		value = s.F
	}
	return value, matches == 1
}

// vector evaluates an expression of our own.
func (h *handler) vector(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	q, err := h.engine.NewInstantQuery(ctx, h.Queryable, nil, expr, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	vector, err := q.Exec(ctx).Vector()
	return slices.Clone(vector), err
}
