//go:build !linux

package demo

import "syscall"

// dieWithParent does nothing: only Linux has it. A demo that is killed by -9 leaves its children behind here.
func dieWithParent(*syscall.SysProcAttr) {}
