// Command floor is what a work cannot be done without, in plain Go: a lower bound to compare with, not a shipper.
//
// Of logs: it reads CRI files to their ends, splits the lines, joins split ones, and posts OTLP. No positions, no repeats, no
// look into a line. When all is sent it waits for SIGTERM, so that it can be measured like the others.
//
// Of spans, with -receive: it takes requests by HTTP and answers each once it is compressed, written to a file and synced. It
// looks into none and sends nothing on.
package main
