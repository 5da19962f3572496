// Package node stands for the part of a Kubernetes node that handles container output: container runtime and kubelet.
//
// Nouns: a [Container] is one container's log: NAMESPACE_POD_UID/CONTAINER/0.log below the root, with what rotation
// leaves beside it. A stream is stdout or stderr. A piece is what one CRI line carries: a whole line (tag F), or
// 16,384 bytes of one that goes on (tag P).
//
// In: the two pipes of a process. Out: files as containerd and kubelet write them: stamped when the runtime has read
// the piece, trailing zeros of the stamp dropped, streams interleaved piece by piece, rotated by rename, the newest
// rotated file left plain until the next rotation packs it with gzip, the oldest deleted.
package node
