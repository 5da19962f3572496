// Package process runs a system under comparison and reads what it costs.
//
// Noun: a [Process] is a child with its output in a file, watched while it runs. Costs come from Linux' /proc: CPU time is
// user and system time of the process and of the children it has waited for; memory is the highest RssAnon seen (every
// 50 ms) and the kernel's own high-water mark of everything resident (VmHWM), page cache of mapped files included.
//
// It never looks for processes: it knows its own by their ids.
package process
