// Command bench compares braid with its peers: the same input, the same sink, one system after the other, again and again
// (A B C A B C …), so that whatever else the machine does meets all of them. docs/benchmarks.md says how to run it, what
// it measures, and what came out. `make bench` builds everything that it starts.
//
// Nouns: a work is what is to be done, from an input to the sink's having all of it; a system is who does it, in one
// process; a run is one system on one work. A run whose sink does not get every record once and unchanged fails.
//
// The inputs are made by bench/input, and counted by bench/sink, both in this process; bench/process runs the systems and
// reads what they cost. It needs Linux. It never touches a process that it did not start.
package main
