package traces

import "unsafe"

// lend returns a string over b, as decoders make them.
func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
