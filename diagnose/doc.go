// Package diagnose says in words what is wrong with a running braid.
//
// Nouns: a [Page] is what /metrics showed at one time; a [Reading] is a page with the clocks of both sides; an [Input] is
// two readings, some seconds apart, and what the process says of itself. A [Finding] is one sentence on what is wrong, one
// on what to do, and the metric that shows it. A check turns an Input into findings; what it found nothing in is fine.
//
// In comes text, out go findings. The package is pure: it asks nobody, opens nothing and keeps nothing. Every metric that
// it reads, with the labels it looks at, is in [Metrics], so that a test can hold the list against what braid exports.
//
// A counter is judged by how it grew between the readings; what it counted before is at most a warning. Bounds are those
// of dashboards/alerts.yaml where there is such an alert.
package diagnose
