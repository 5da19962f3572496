package run

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Registries gather from several registries as if they were one: what a reload replaces has one of its own, which goes with
// it.
type Registries struct {
	mu   sync.Mutex
	list prometheus.Gatherers
}

// NewRegistries returns the registries with base, which stays.
func NewRegistries(base *prometheus.Registry) *Registries {
	return &Registries{list: prometheus.Gatherers{base}}
}

// Add returns a new registry among them.
func (r *Registries) Add() *prometheus.Registry {
	r.mu.Lock()
	defer r.mu.Unlock()
	added := prometheus.NewRegistry()
	r.list = append(slices.Clip(r.list), added)
	return added
}

// Remove takes out one that Add returned; nil is none.
func (r *Registries) Remove(gone *prometheus.Registry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(slices.Clone(r.list), func(g prometheus.Gatherer) bool { return g == prometheus.Gatherer(gone) })
}

// Gather implements prometheus.Gatherer.
func (r *Registries) Gather() ([]*dto.MetricFamily, error) {
	r.mu.Lock()
	list := r.list
	r.mu.Unlock()
	return list.Gather()
}
