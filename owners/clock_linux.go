package owners

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now reads a clock that never goes back and that counts while the machine is
// suspended. Only differences of its readings mean anything, and only on this
// machine.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("owners: CLOCK_BOOTTIME: " + err.Error()) // there since Linux 2.6.39; without it no lease can be kept
	}
	return time.Duration(ts.Nano())
}
