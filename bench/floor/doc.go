// Command floor is what the work on logs cannot be done without, in plain Go: it reads CRI files to their ends, splits the
// lines, joins split ones, and posts OTLP. No positions, no repeats, no look into a line: a lower bound to compare with,
// not a shipper.
//
// When all is sent it waits for SIGTERM, so that it can be measured like the others.
package main
