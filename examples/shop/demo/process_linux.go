package main

import (
	"os/exec"
	"syscall"
)

// childAttr puts a child into a group of its own, so that Ctrl-C reaches only
// us and we end it in order, and lets the kernel kill it should we be killed.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// startLocked starts a child. Pdeathsig is sent when the thread that forked
// ends, so children are started from a thread that stays: main's.
func startLocked(cmd *exec.Cmd) error {
	errs := make(chan error)
	starter <- func() { errs <- cmd.Start() }
	return <-errs
}
