package sim

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What TestSeed and TestLong run.
var (
	simSeed    = flag.Uint64("sim.seed", 1, "the seed, or the first of several")
	simTime    = flag.Duration("sim.time", 20*time.Second, "simulated time under faults, of each seed")
	simFaults  = flag.String("sim.faults", strings.Join(AllFaults, ","), "classes of faults, or one of the rows of TestInvariants")
	simControl = flag.String("sim.control", "", "the protection to remove: a row of TestControls")
	simHistory = flag.String("sim.history", "", "file that takes the history as text")
	simEvents  = flag.Int("sim.events", 0, "TestLong: run until so many events began")
	simBrief   = flag.Bool("sim.brief", false, "TestSeed: end with the faults, without the calm and its checks")
	simFor     = flag.Duration("sim.for", 0, "TestLong: begin no other seed after so much real time; 0 is no limit")
	simWorkers = flag.Int("sim.workers", 1, "TestLong: seeds at a time")
)

func TestMain(m *testing.M) {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // its goroutine must not belong to a simulation
	redis.SetLogger(silent{})
	debug.SetGCPercent(400) // scripts leave much behind, and little stays
	os.Exit(m.Run())
}

// silent takes go-redis's own log, which tells of every connection that the simulation breaks.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// rows are classes of faults, alone and together.
var rows = map[string]string{
	"planned":    "moves rollouts cordon repeats hasty",
	"pauses":     "moves pauses",
	"partitions": "moves partitions",
	"messages":   "moves drift clock delays drops repeats",
	"crashes":    "moves rollouts crashes",
	"failover":   "moves failover",
	"loss":       "moves flush",
	"forged":     "moves forge",
	"everything": strings.Join(AllFaults, " "),
}

// TestInvariants is the fixed share of the simulation that every test run does.
func TestInvariants(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Config{Seed: 1, Time: 5 * time.Second, Writes: .3, Faults: strings.Fields(rows[name])}
			if name == "everything" {
				c.Time = 20 * time.Second
			}
			r := Run(t, c)
			t.Log(r.Stats)
			report(t, c, r)
			if r.Events < 300 || r.Moves == 0 {
				t.Errorf("%d events and %d moves prove nothing", r.Events, r.Moves)
			}
		})
	}
}

func report(t *testing.T, c Config, r Result) {
	t.Helper()
	for name, v := range r.Broken {
		t.Errorf("%s broke %d times, first: %s\n  again with -run TestSeed %s", name, len(v), v[0], c)
	}
}

// TestSeed runs what the flags say, and prints the hash of the history.
func TestSeed(t *testing.T) {
	c := Config{Seed: *simSeed, Time: *simTime, Writes: .3, Faults: faultsOf(*simFaults), Brief: *simBrief}
	if *simControl != "" {
		ctl := controlOf(t, *simControl)
		c = ctl.config(c.Seed)
	}
	if *simHistory != "" {
		f, err := os.Create(*simHistory)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w := bufio.NewWriter(f)
		defer w.Flush()
		c.History = w
	}
	r := Run(t, c)
	fmt.Println(r.Stats)
	if *simControl == "" {
		report(t, c, r)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.Broken)) {
		fmt.Printf("%s broke %d times, first: %s\n", name, len(r.Broken[name]), r.Broken[name][0])
	}
}

func faultsOf(s string) []string {
	if row, ok := rows[s]; ok {
		return strings.Fields(row)
	}
	return strings.Split(s, ",")
}
