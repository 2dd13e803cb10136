package sim

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/faults"
)

// A control removes one protection, together with the layers that mask its
// loss; the checker must then see one of the named invariants break, and must see nothing of them when the layers alone are removed:
// else it would be their loss that it saw. A checker that sees nothing here
// proves nothing elsewhere. Protections that stand in the store alone (nonces,
// run ids, expiry) are removed in package owners.
type control struct {
	name   string
	off    Weakness // the protection
	masks  Weakness // what hides its loss
	hides  string   // the same in words
	faults string
	rate   int64
	busy   int64
	moves  int64
	reads  bool          // hardly anybody writes: the fence, which every write meets, would end what is stale
	seed   uint64        // the first to try, else 1; of those up to 5, 4 and 5 have a replica that is 60 ms behind
	span   time.Duration // simulated time under faults, where not controlTime: of what is judged at the end, and of what is rare
	breaks string        // any of these
}

func hostWithout(p ...faults.Protection) Weakness { return Weakness{Host: p} }

const mintRule = "math.max(prev + 1, floor + 1, (tonumber(e[2]) or 0) + 1, us + (tonumber(e[3]) or 0))"

var controls = []control{
	{name: "no claim before load",
		off: Weakness{NoFence: true}, masks: hostWithout(faults.Confirm),
		hides:  "confirmation of new tokens",
		faults: "moves pauses partitions crashes delays", rate: 5, breaks: "I1a I2 I5 I6"},
	{name: "tokens are prev+1 under rollback",
		off: Weakness{Scripts: [][2]string{{mintRule, "prev + 1"}}}, masks: Weakness{NoWait: []string{"pin", "sess", "fence"}},
		hides:  "WAIT: else no acknowledged token is lost",
		faults: "moves failover rollouts", breaks: "I3"},
	{name: "the lease is ignored",
		off:    hostWithout(faults.Lease),
		faults: "moves pauses partitions", span: 10 * time.Minute, breaks: "I1a I1c"},
	{name: "no released[]",
		off: hostWithout(faults.Released), masks: hostWithout(faults.Confirm),
		hides:  "confirmation of new tokens",
		faults: "moves pauses delays", breaks: "I1a"},
	{name: "death by the store's clock (TTL)",
		off:    Weakness{TTL: true},
		faults: "moves clock partitions", breaks: "I1a I1c"},
	{name: "release before idle",
		off:    hostWithout(faults.Idle),
		faults: "moves", breaks: "I1b"},
	{name: "zombie activation after re-registering",
		off:    hostWithout(faults.Fresh),
		faults: "moves pauses partitions", breaks: "I1a I1b I2 I3 I6"},
	{name: "the session id is ignored",
		off: hostWithout(faults.SID), masks: Weakness{Host: []faults.Protection{faults.Confirm}, NoFence: true},
		hides:  "confirmation of new tokens; the fence, with its session id",
		faults: "moves rollouts crashes", breaks: "I1a I3"},
	{name: "a release is aborted after its script was sent",
		off: hostWithout(faults.Sent), masks: Weakness{Host: []faults.Protection{faults.Confirm}, NoFence: true, Roomy: true},
		hides:  "confirmation; the fence; the watermark that stands in for forgotten objects",
		faults: "moves drops delays hasty", rate: 6, busy: 6, breaks: "I1a I1b"},
	{name: "no HOLD after the store lost its data",
		off:    Weakness{NoHold: true},
		faults: "moves flush partitions", busy: 3, span: 15 * time.Minute, breaks: "I1a I1b"},
	{name: "tokens start anew after the store lost its data and its time",
		off:    Weakness{Scripts: [][2]string{{"seen > us + off and", "false and"}}},
		faults: "moves flush clock crashes", busy: 3, breaks: "I1a I2"},
	{name: "no counter n in the fence",
		off:    hostWithout(faults.N),
		faults: "delays drops", rate: 8, span: 10 * time.Minute, breaks: "I2 I5 I6"},
	{name: "writes without WAIT under failover",
		off:    Weakness{NoWait: []string{"fence"}},
		faults: "moves failover", span: 15 * time.Second, breaks: "I5 I6"},
	{name: "a write of unknown outcome is sent again",
		off:    Weakness{Repeat: true},
		faults: "moves drops", rate: 4, breaks: "I2 I6"},
	{name: "a confirmation is believed before the replica has it",
		off: Weakness{NoWait: []string{"pin"}}, masks: Weakness{NoWait: []string{"fence"}},
		hides:  "WAIT behind the claim, which answers for what the store took before",
		faults: "moves promotions", moves: 10, reads: true, seed: 4, breaks: "I1a"},
	{name: "a token is believed unconfirmed",
		off:    hostWithout(faults.Confirm),
		faults: "moves forge", breaks: "I3"},
	{name: "a pin that nobody may use is not given back",
		off:    hostWithout(faults.Repair),
		faults: "moves promotions", moves: 20, seed: 4, span: 8 * time.Second, breaks: "I7"},
	{name: "a release is sent once",
		off:    hostWithout(faults.Again),
		faults: "moves promotions", moves: 20, seed: 4, span: 8 * time.Second, breaks: "I7"},
	{name: "an event waits for storage longer than a lease",
		off:    Weakness{Patient: true},
		faults: "moves drops", rate: 10, span: 6 * time.Second, breaks: "I7"},
	{name: "a refusal is taken for an answer",
		off:    Weakness{NoResend: true},
		faults: "moves rollouts", span: 4 * time.Second, breaks: "I4"},
	{name: "an unknown outcome is sent again",
		off:    Weakness{Resend: true},
		faults: "moves drops", breaks: "I2 I6"},
	{name: "gateways hold as much as comes",
		off:    Weakness{NoCaps: true},
		faults: "moves partitions", breaks: "I8"},
	{name: "hosts have as many objects active as come",
		off:    Weakness{Uncapped: true},
		faults: "moves crowded", breaks: "I8"},
	{name: "answers of a stale instance leave",
		off:    hostWithout(faults.Output),
		faults: "moves pauses partitions", reads: true, span: 10 * time.Minute, breaks: "output"},
}

// controlTime is how long a run goes on at most; the first violation ends it.
// What breaks within a second or ten of it breaks at every seed then, whatever
// the order in which goroutines run.
const controlTime = 2 * time.Minute

func (c control) config(seed uint64) Config {
	cfg := Config{
		Seed: seed, Time: controlTime, Writes: .5, Faults: strings.Fields(c.faults), Rate: c.rate, Busy: c.busy, Moves: c.moves,
		Weak: c.off.and(c.masks), Until: map[string]bool{},
	}
	if c.span != 0 {
		cfg.Time = c.span
	}
	if c.reads {
		cfg.Writes = .02
	}
	for _, inv := range strings.Fields(c.breaks) {
		cfg.Until[inv] = true
	}
	return cfg
}

// masked is the same run with the protection in place: only what hides its loss is removed.
func (c control) masked(seed uint64) Config {
	cfg := c.config(seed)
	cfg.Weak, cfg.Until, cfg.Time = c.masks, nil, 15*time.Second
	return cfg
}

func controlOf(t *testing.T, name string) control {
	t.Helper()
	for _, c := range controls {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no control is called %q", name)
	return control{}
}

// broke gives the first of the control's invariants that broke, and how it did.
func (c control) broke(r Result) (invariant, first string) {
	for _, inv := range strings.Fields(c.breaks) {
		if v := r.Broken[inv]; len(v) > 0 {
			return inv, v[0]
		}
	}
	return "", ""
}

// TestControls runs the seeds that the document names; each must find its loss.
// With SKEWGATE_UPDATE=1 it looks from the first seed on and writes the
// document's table; without, the table must name these controls.
func TestControls(t *testing.T) {
	t.Parallel()
	update := os.Getenv("SKEWGATE_UPDATE") != ""
	_, table, _ := part(t, "controls")
	fresh := make([]string, len(controls))
	for n, c := range controls {
		row := fmt.Sprintf("| %s | %s | %s | %s |", c.name, cmp.Or(c.hides, "nothing"), c.faults, c.breaks)
		known, told := rowOf(table, row)
		if !told && !update {
			t.Errorf("%s does not tell of %q as it is; write it with SKEWGATE_UPDATE=1", document, c.name)
			continue
		}
		seeds := []uint64{known}
		if update {
			seeds = []uint64{1, 2, 3, 4, 5}[max(1, c.seed)-1:]
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inv, seed := c.find(t, seeds)
			fresh[n] = fmt.Sprintf("%s %s | %d |\n", row, inv, seed)
		})
		if !c.masks.none() {
			t.Run(c.name+", with the protection", c.stands)
		}
	}
	t.Cleanup(func() { // when all have ended
		if update && !t.Failed() {
			replacePart(t, "controls", "| protection removed | removed as well, because it hides the loss | faults | may break | broke | seed |\n"+
				"|---|---|---|---|---|---:|\n"+strings.Join(fresh, ""))
		}
	})
}

// rowOf gives the seed of the table's row that begins so.
func rowOf(table, begin string) (seed uint64, ok bool) {
	for line := range strings.Lines(table) {
		rest, found := strings.CutPrefix(line, begin)
		if !found {
			continue
		}
		var inv string
		if _, err := fmt.Sscanf(rest, " %s | %d |", &inv, &seed); err == nil {
			return seed, true
		}
	}
	return 0, false
}

// find looks for a seed that sees the loss of the protection.
func (c control) find(t *testing.T, seeds []uint64) (invariant string, seed uint64) {
	start := time.Now()
	for _, seed := range seeds {
		if inv, first := c.broke(Run(t, c.config(seed))); inv != "" {
			t.Logf("seed %d, %v of computing: %s broke: %s", seed, time.Since(start).Round(time.Millisecond), inv, first)
			return inv, seed
		}
	}
	t.Errorf("none of the seeds %v saw %s break", seeds, c.breaks)
	return "", 0
}

// stands removes what hides the loss, and not the protection: it holds alone.
func (c control) stands(t *testing.T) {
	t.Parallel()
	cfg := c.masked(max(1, c.seed))
	cfg.Brief = true
	if inv, first := c.broke(Run(t, cfg)); inv != "" {
		t.Errorf("%s broke although the protection stands: %s", inv, first)
	}
}
