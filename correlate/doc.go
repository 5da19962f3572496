// Package correlate knows which lines and which spans belong together, and counts lines by where they come from.
//
// Nouns: [LogCounts] counts lines and bytes per container, and lines per severity. [Index] holds, for every trace of the
// last minutes, an [Entry]: when it was first received, how many spans and lines it has, whether there was an error.
//
// In: every record, by their Observe, which the queue's observer calls. Out: metrics, [Index.Lookup], and the snapshot of
// LogCounts, so that its counters neither go down nor double over a crash. The index has no snapshot: it is rebuilt by
// replaying the last minutes of the queue.
//
// Receive time is the only clock, so that a replay decides as the first run did. The room does no I/O and stores no
// record.
package correlate
