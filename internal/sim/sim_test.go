package sim

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What TestSeed and TestLong run.
var (
	asked      = flags(flag.CommandLine)
	simControl = flag.String("sim.control", "", "the protection to remove: a row of TestControls")
	simHistory = flag.String("sim.history", "", "file that takes the history as text")
	simEvents  = flag.Int("sim.events", 0, "TestLong: run until so many events began")
	simFor     = flag.Duration("sim.for", 0, "TestLong: begin no other seed after so much real time; 0 is no limit")
	simWorkers = flag.Int("sim.workers", 1, "TestLong: seeds at a time")
)

// asking is a Config as a command line names it; see Config.String.
type asking struct {
	Config
	faults string
}

func flags(fs *flag.FlagSet) *asking {
	a := &asking{}
	fs.Uint64Var(&a.Seed, "sim.seed", 1, "the seed, or the first of several")
	fs.DurationVar(&a.Time, "sim.time", 20*time.Second, "simulated time under faults, of each seed")
	fs.StringVar(&a.faults, "sim.faults", strings.Join(AllFaults, ","), "TestSeed: classes of faults, or one of the rows of TestInvariants")
	fs.Float64Var(&a.Writes, "sim.writes", .3, "TestSeed: share of requests that write")
	fs.DurationVar(&a.Gap, "sim.gap", 0, "TestSeed: longest time between two requests of a gateway; 0 is 15ms")
	fs.Int64Var(&a.Rate, "sim.rate", 0, "TestSeed: how many times as often calls are lost or late")
	fs.Int64Var(&a.Busy, "sim.busy", 0, "TestSeed: how many times as often nodes and the store fail and objects move")
	fs.Int64Var(&a.Moves, "sim.moves", 0, "TestSeed: how many times as often as that objects move")
	fs.BoolVar(&a.Brief, "sim.brief", false, "TestSeed: end with the faults, without the calm and its checks")
	return a
}

func (a *asking) config() Config {
	c := a.Config
	c.Faults = faultsOf(a.faults)
	return c
}

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
	"crowded":    "moves rollouts pauses partitions crashes drops crowded",
	"everything": strings.Join(AllFaults, " "),
}

// invariantsOf is the run of a row that every test run does.
func invariantsOf(row string) Config {
	c := Config{Seed: 1, Time: 5 * time.Second, Writes: .3, Faults: strings.Fields(rows[row])}
	if row == "everything" {
		c.Time = 20 * time.Second
	}
	return c
}

// TestInvariants is the fixed share of the simulation that every test run does.
func TestInvariants(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := invariantsOf(name)
			r := Run(t, c)
			t.Log(r.Stats)
			report(t, c, r)
			if r.Events < 300 || r.Moves == 0 || c.has("crowded") && r.Turns < 10 {
				t.Errorf("%d events, %d moves and %d turns prove nothing", r.Events, r.Moves, r.Turns)
			}
		})
	}
}

// The command that a violation is printed with says all that the run was made
// of, so that it is the same run: a setting that is added later as well.
func TestCommandOfAViolation(t *testing.T) {
	all := Config{Faults: []string{"moves", "drops"}}
	v := reflect.ValueOf(&all).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Uint64:
			f.SetUint(uint64(20 + i))
		case reflect.Int64:
			f.SetInt(int64(20+i) * int64(time.Second))
		case reflect.Float64:
			f.SetFloat(.7)
		case reflect.Bool:
			f.SetBool(true)
		default:
			switch name := v.Type().Field(i).Name; name {
			case "Faults", "Weak", "Until", "History": // the last three are of controls, and of who reads
			default:
				t.Fatalf("the test does not know how to set %s", name)
			}
		}
	}
	for _, c := range []Config{all, invariantsOf("planned"), longRun(0), longRun(3)} {
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		a := flags(fs)
		if err := fs.Parse(strings.Fields(c.String())); err != nil {
			t.Fatal(err)
		}
		c.Gap = c.gap()
		if got := a.config(); !reflect.DeepEqual(got, c) {
			t.Errorf("%s\nruns %+v\nnot  %+v", c, got, c)
		}
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
	c := asked.config()
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
