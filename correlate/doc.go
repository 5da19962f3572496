// Package correlate knows which lines and which spans belong together, decides which traces are kept, and counts lines by
// where they come from.
//
// Nouns: [LogCounts] counts lines and bytes per container, and lines per severity, and knows how often it was restarted.
// An [Index] holds the facts about the traces of the last minutes that [Rules] ask for: an error, a slow span, a line of
// severity error, an exemplar, an attribute, each with the receive time of its first occurrence. A [Decider] decides once of
// every trace, at its first span. A [Verdict] says that a trace is kept; [Verdicts] is the log of them, which every exporter asks.
//
// In: every record, by Observe of LogCounts and Index, which the queue's observers call; the span lane once more, behind
// them, by [Decider.Write]. Out: metrics, the verdict log, [Verdicts.Kept], and the snapshots of LogCounts and Decider, so
// that counters neither go down nor double over a crash. The index has no snapshot: it is rebuilt by replaying the last
// minutes of the queue.
//
// Receive time is the only clock, and every decision is a pure function of the log: t is the receive time of a trace's
// first span; what was received before t + Wait counts; what is received until t + Wait + Late follows the verdict; after
// that the next span of that trace id begins another trace. So a replay decides as the first run did. The one exception is
// counted: an index that is full refuses facts ([IndexOptions].MaxEntries).
//
// The room stores no record, and does no I/O but for the verdict log.
package correlate
