// Package aggregator is the aggregator's wiring, from right to left: exporters and observers on their cursors, the queue,
// the receivers. Everything that decides something lies in the rooms.
package aggregator
