// Package logstest writes log trees as a container runtime and the kubelet do: CRI lines split at 16 KiB, rotation by
// rename with delayed compression, restarts, deleted pods.
//
// Nouns: a [Node] is a tree, /var/log/pods of one node. A [Writer] is the runtime's end of one container attempt: it
// writes lines and, as the kubelet, rotates. The ledger is the list of every [Line] that was written, with the file id
// and position that a reader must find. A [Storm] does everything at once at random, from a seed.
//
// It stands for the kubelet in tests and in the demo; it never reads what it wrote.
package logstest
