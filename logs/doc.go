// Package logs follows the log files of a node's containers and hands their lines on as batches.
//
// Nouns: a [Source] is the agent's telemetry.Source for logs. It owns one goroutine that reads, through logs/tail (bytes,
// rotation, positions), logs/format (envelopes, split lines) and logs/fields (severity, trace and span id), and one
// Write at a time. logs/logstest writes log trees as container runtime and kubelet do.
//
// In come directory trees; out go batches, the lines of one file in each, with the file's id and positions, many
// containers in one Write. The call is the pipe: positions move only after Write returned nil, and a line that is read
// again after a failure or a crash has the same position, so whoever stores it knows it again. The log file is the
// buffer: the package keeps no copy of what it can read again, and what it cannot read any more it counts.
//
// It never edits a line, never talks to an API server, and never waits in one file for another.
package logs
