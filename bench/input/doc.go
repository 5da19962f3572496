// Package input makes what the systems under comparison work on, always the same for a seed, and knows what it made.
//
// Nouns: containers are log files in CRI format below a directory that stands for /var/log/pods, written at once or paced;
// targets are HTTP servers with a page of metrics each; a [Spans] input is traces through a chain of services, posted
// as OTLP. Of each there is a tally.Truth (of spans also: which traces a tail sampler must keep, and what RED metrics
// must say), against which the sink's tally is checked.
//
// It knows nothing of the systems and measures nothing.
package input
