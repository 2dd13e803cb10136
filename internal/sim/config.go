package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/internal/faults"
)

// Config is one run.
type Config struct {
	Seed   uint64
	Time   time.Duration // under faults; the calm after it comes on top
	Faults []string      // of AllFaults
	Writes float64       // share of requests that write
	Weak   Weakness
}

// AllFaults are the classes of faults.
var AllFaults = []string{
	"moves", "rollouts", "cordon", "pauses", "partitions", "crashes", "drift", "clock", "delays", "drops", "failover", "flush", "forge",
}

// Weakness removes protections, for negative controls.
type Weakness struct {
	Host    []faults.Protection
	Scripts [][2]string // text of a script, and what it becomes
	NoWait  bool        // WAIT answers at once
	NoFence bool        // every activation has the same fence
	TTL     bool        // sessions die by the store's clock
	NoHold  bool        // the epoch opens as soon as it has begun
}

// String is the command line that repeats the run.
func (c Config) String() string {
	return fmt.Sprintf("SKEWGATE_SIM='seed=%d time=%v faults=%s'", c.Seed, c.Time, strings.Join(c.Faults, ","))
}

func (c Config) has(fault string) bool { return slices.Contains(c.Faults, fault) }

// What the simulated mesh is made of. Leases are the shortest there are, so
// that much happens in little time.
const (
	objects   = 5
	gateways  = 3
	hosts     = 4
	leaseMin  = time.Second
	leaseMax  = 2 * time.Second
	holdFor   = 5 * time.Second
	calmTime  = 14 * time.Second
	replicas  = 1
	sendLimit = 4 * time.Second // how long a gateway waits for an answer
)
