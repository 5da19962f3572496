// Package tree reads a tree of container logs without an agent: once, or following it. It is what stands behind
// `braid logs --path`.
//
// Nouns: a [Container] is one container of one pod with its [Attempt]s, oldest first; an attempt has the files that are
// left of it, in the order in which they were written. A [Query] says which of its lines are wanted.
//
// In: a directory as the kubelet lays it out. Out: [telemetry.LogRecord]s with the same UID, severity, trace and span id
// that an agent gives the same lines, pieces of split lines joined.
//
// It keeps no positions, writes nothing, and reads more than kubectl: every file of an attempt, rotated and compressed
// ones too, where the kubelet opens the live file only. It joins the pieces of a line stream by stream, where the
// kubelet prints pieces in the order of the file; and its last lines are whole lines, where the kubelet counts pieces.
package tree
