package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
)

// firstCollection is how large the heap of a check may grow before garbage is
// collected for the first time.
const firstCollection = 256 << 20

// collectLate is for commands that run once and end: Go's collector starts at
// 4 MB and is then at work all the time while a heap grows, which is a quarter
// of the time that a check of a large tree takes, and half of a small one's.
// After the first collection it runs a third less often than usual: the largest
// checks take a tenth less processor time for it, and some tenths more memory. GOGC and GOMEMLIMIT, where set, are left alone.
func collectLate() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	usual := debug.SetGCPercent(-1)
	if usual < 0 {
		return // another check of this process has begun the same
	}
	debug.SetMemoryLimit(firstCollection)
	runtime.AddCleanup(new([64]byte), func(usual int) {
		debug.SetGCPercent(usual + usual/2)
		debug.SetMemoryLimit(math.MaxInt64)
	}, usual)
}
