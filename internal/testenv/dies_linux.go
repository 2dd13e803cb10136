package testenv

import "syscall"

// diesWithTest lets the kernel kill a child when the thread that forked it
// ends, hence with the test's process: a test that panics or times out leaves
// nothing behind. The Go runtime keeps its threads, unless a goroutine that is
// locked to one ends; no test locks any.
func diesWithTest(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Pdeathsig = syscall.SIGKILL
	return attr
}
