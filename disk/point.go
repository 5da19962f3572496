//go:build !crashpoints

package disk

// Point marks a named place at which a crash is worth testing. It does nothing in ordinary builds; built with the tag
// crashpoints the process kills itself there (SIGKILL) when BRAID_CRASH names it.
func Point(string) {}
