//go:build darwin || freebsd

package owners

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now reads a clock that never goes back and that counts while the machine is
// suspended (CLOCK_MONOTONIC does, on these systems). Only differences of its
// readings mean anything, and only on this machine.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("owners: CLOCK_MONOTONIC: " + err.Error()) // without it no lease can be kept
	}
	return time.Duration(ts.Nano())
}
