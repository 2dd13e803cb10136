//go:build !linux

package testenv

import "syscall"

// diesWithTest has no means here: children end with the test's cleanup.
func diesWithTest(attr *syscall.SysProcAttr) *syscall.SysProcAttr { return attr }
