// Package format turns the raw bytes of a container's log file into records: it splits physical lines, reads their
// envelope and joins the pieces of a line that the runtime split.
//
// Nouns: a [Format] names the envelope (CRI, Docker's json-file, plain). A [Piece] is one physical line without its
// envelope. A [Record] is one line as the program wrote it: one piece, or several pieces of one stream. A [Decoder]
// makes records of the bytes of one container attempt, whose files follow each other; a [Mark] is a place in them.
// [Spares] are the side buffers of lines that are still open when a chunk ends.
//
// In come chunks of a file in order, out go records that alias them. The package does no I/O, keeps nothing but the
// open lines, allocates nothing per record, and loses no byte: a line that does not parse is a record of its raw bytes.
package format
