// Package tail finds the log files of containers, reads them through rotation, compression, deletion and restarts, and
// knows from where to go on after a crash.
//
// Nouns: a [Container] is one attempt (restart) of one container, a [File] one file of it as it lies on disk under some
// name. A file's identity ([FileID]) is a hash of the attempt and its first complete line, so it survives renames and
// compression and does not mistake a reused inode for an old friend. An attempt's files in the order they were
// written are its chain. A [Follower] reads the chains of whole trees and emits records; its positions move
// when it is told that they are safe ([Follower.Ack]), or go back to where they were ([Follower.Rewind]).
//
// In come directory trees and inotify events, out go records and the state file (docs/format/positions.md). It never
// writes to the trees, never looks at what a line says, and never waits for anything: its caller owns the loop.
package tail
