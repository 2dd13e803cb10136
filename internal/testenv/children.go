package testenv

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// children are the processes that pid has forked itself. They are read from
// /proc; where there is none, none are found.
func children(pid int) []int {
	entries, _ := os.ReadDir("/proc") // no /proc: none
	var out []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, parent, ok := stat(n); ok && parent == pid {
			out = append(out, n)
		}
	}
	return out
}

// alive says that a process exists and is no zombie.
func alive(pid int) bool {
	state, _, ok := stat(pid)
	return ok && state != 'Z' && state != 'X'
}

// stat reads a process's state and parent: "PID (NAME) STATE PARENT …", where NAME may hold anything.
func stat(pid int) (state byte, parent int, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(b, ')')
	if err != nil || i < 0 {
		return 0, 0, false
	}
	_, err = fmt.Sscanf(string(b[i+1:]), " %c %d", &state, &parent)
	return state, parent, err == nil
}
