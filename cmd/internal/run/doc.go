// Package run is what braid's long-running verbs share: their flags, their logger, their signals, the web listener
// with metrics, health and profiles, and the guard that pushes back before memory runs out. It wires nothing.
package run
