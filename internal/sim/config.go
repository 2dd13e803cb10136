package sim

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
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
	Rate   int64         // how many times as often calls are lost or late; 0 is once
	Gap    time.Duration // longest time between two requests of a gateway; 0 is 15ms
	Busy   int64         // how many times as often nodes and the store fail and objects move; 0 is once
	Moves  int64         // how many times as often as that objects move; 0 is once
	Brief  bool          // the run ends with the faults: no calm, no recovery
	Weak   Weakness

	Until   map[string]bool // invariants: the run ends when one of them breaks
	History io.Writer       // takes the history as text; nil: only its hash is kept
}

// AllFaults are the classes of faults, but for those that a run must ask for:
// promotions, of controls, and crowded, where hosts have fewer places than objects.
var AllFaults = []string{
	"moves", "rollouts", "cordon", "pauses", "partitions", "crashes", "drift", "clock", "delays", "drops", "failover", "flush", "forge",
	"repeats", "hasty",
}

// Weakness removes protections, for negative controls.
type Weakness struct {
	Host     []faults.Protection
	Scripts  [][2]string // text of a script, and what it becomes
	NoWait   []string    // WAIT answers at once behind calls on these records: "pin", "sess", "fence"
	SameRun  bool        // nobody can tell that another server answers
	NoFence  bool        // every activation has the same fence
	Repeat   bool        // a write of unknown outcome is sent again
	Patient  bool        // whoever waits for storage in vain waits for nine seconds longer
	TTL      bool        // sessions die by the store's clock
	NoHold   bool        // the epoch opens as soon as it has begun
	NoCaps   bool        // gateways hold as much as comes
	NoResend bool        // gateways take a refusal for an answer
	Resend   bool        // gateways take an unknown outcome for a request that was not sent
	Uncapped bool        // hosts have as many objects active as come
	Roomy    bool        // hosts remember every released object, so that no watermark stands in for one
}

// none says that nothing is removed.
func (w Weakness) none() bool { return reflect.ValueOf(w).IsZero() }

// and is what either removes.
func (w Weakness) and(x Weakness) Weakness {
	return Weakness{
		Host: slices.Concat(w.Host, x.Host), Scripts: slices.Concat(w.Scripts, x.Scripts), NoWait: slices.Concat(w.NoWait, x.NoWait),
		SameRun: w.SameRun || x.SameRun, NoFence: w.NoFence || x.NoFence, Repeat: w.Repeat || x.Repeat, Patient: w.Patient || x.Patient,
		TTL: w.TTL || x.TTL, NoHold: w.NoHold || x.NoHold, NoCaps: w.NoCaps || x.NoCaps, NoResend: w.NoResend || x.NoResend,
		Resend: w.Resend || x.Resend, Uncapped: w.Uncapped || x.Uncapped, Roomy: w.Roomy || x.Roomy,
	}
}

func (c Config) gap() time.Duration { return cmp.Or(c.Gap, 15*time.Millisecond) }

// String is the command line that repeats the run, but for what a control removes.
func (c Config) String() string {
	args := []string{
		fmt.Sprintf("-sim.seed=%d -sim.time=%v -sim.faults=%s -sim.writes=%v -sim.gap=%v",
			c.Seed, c.Time, strings.Join(c.Faults, ","), c.Writes, c.gap()),
	}
	for _, f := range []struct {
		name string
		n    int64
	}{{"rate", c.Rate}, {"busy", c.Busy}, {"moves", c.Moves}} {
		if f.n != 0 {
			args = append(args, fmt.Sprintf("-sim.%s=%d", f.name, f.n))
		}
	}
	if c.Brief {
		args = append(args, "-sim.brief")
	}
	return strings.Join(args, " ")
}

// planned says that nothing happens but what operators do, and copies of requests.
func (c Config) planned() bool {
	for _, f := range c.Faults {
		switch f {
		case "moves", "rollouts", "cordon", "repeats", "hasty", "drift":
		default:
			return false
		}
	}
	return true
}

// heldPerObject is how many requests of one object a gateway may hold: few, so
// that the bound matters, and the default of mesh files where no request may fail.
func (c Config) heldPerObject() int {
	if c.planned() {
		return 256
	}
	return 12
}

// heldBytes is what a gateway may keep of bodies: little, so that the bound
// matters, but where no request may fail.
func (c Config) heldBytes() int64 {
	if c.planned() {
		return 1 << 20
	}
	return 16 << 10
}

// maxActive is how many objects a host may have active: one or two where hosts
// are crowded, fewer than there are objects; else any number.
func (c Config) maxActive(n *node) int {
	if !c.has("crowded") {
		return 0
	}
	return 1 + int(n.num(2))
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
	calmTime  = 10 * time.Second // above every bound of I7
	bodyMax   = 2 << 10          // of a request that writes
	replicas  = 1
	sendLimit = 4 * time.Second // how long a gateway waits for an answer
)
