// Package disk is the seam between braid and the file system.
//
// [FS] and [File] are the few calls that durable rooms need; [OS] is the real one, [Mem] the one that forgets what was
// not synced when a test crashes it. [WriteVersioned] and [ReadVersioned] are how every small state file is kept:
// replaced atomically, checked by a CRC, and refused with a clear error when a newer braid wrote it.
// [Point] names the places at which a test may kill the process; it is empty in ordinary builds.
package disk
