package demo

import "syscall"

// dieWithParent makes the kernel kill the child when the thread that started it ends, even by kill -9.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
