package owners

import (
	"time"

	"golang.org/x/sys/windows"
)

// Now reads a clock that never goes back and that counts while the machine is
// suspended, in steps of 10 to 16 ms. Only differences of its readings mean
// anything, and only on this machine.
func Now() time.Duration { return windows.DurationSinceBoot() }
