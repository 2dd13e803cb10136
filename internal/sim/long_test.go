package sim

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// longRow names the row that a run of TestLong takes, longRun is the run.
func longRow(run uint64) string {
	if run%2 == 0 {
		return "everything"
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(rows)), func(n string) bool { return n == "everything" })
	return names[int(run/2)%len(names)]
}

func longRun(run uint64) Config {
	return Config{Seed: asked.Seed + run, Time: asked.Time, Writes: .2, Gap: 9 * time.Millisecond, Faults: strings.Fields(rows[longRow(run)])}
}

// TestLong runs seed after seed until as many events began as -sim.events
// says: every second run has all faults together, the others take the rows of
// TestInvariants in turn. With SKEWGATE_UPDATE=1 its figures go into the document.
func TestLong(t *testing.T) {
	var mu sync.Mutex
	total, broken, runs, began := Stats{}, map[string]int{}, uint64(0), time.Now()
	next := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if total.Events >= *simEvents || *simFor > 0 && time.Since(began) > *simFor {
			return 0, false
		}
		runs++
		return runs - 1, true
	}
	one := func(run uint64) {
		row, c := longRow(run), longRun(run)
		t.Run(fmt.Sprintf("%s-%d", row, c.Seed), func(t *testing.T) {
			r := Run(t, c)
			report(t, c, r)
			mu.Lock()
			defer mu.Unlock()
			total.add(r.Stats)
			for inv, v := range r.Broken {
				broken[inv] += len(v)
			}
			fmt.Printf("%6v %-10s seed %-5d %s\n", time.Since(began).Round(time.Second), row, c.Seed, r.Stats)
		})
	}
	var workers sync.WaitGroup
	for range *simWorkers {
		workers.Go(func() {
			for run, ok := next(); ok; run, ok = next() {
				one(run)
			}
		})
	}
	workers.Wait()
	if runs == 0 {
		t.Log("nothing to do without -sim.events")
		return
	}
	text := figures(total, broken, runs, asked.Time)
	t.Log("\n" + text)
	if os.Getenv("SKEWGATE_UPDATE") != "" {
		replacePart(t, "figures", text)
	}
}

// figures is what the document says of a long run.
func figures(s Stats, broken map[string]int, runs uint64, span time.Duration) string {
	var b strings.Builder
	row := func(what string, n any) { fmt.Fprintf(&b, "| %s | %v |\n", what, n) }
	b.WriteString("| | |\n|---|---:|\n")
	row("seeds", fmt.Sprintf("%d, %v under faults each", runs, span))
	row("events (handlers that began)", s.Events)
	row("requests answered", s.OK)
	row("requests of unknown outcome", s.Unknown)
	row("requests given up unsent", s.Shed)
	row("attempts that were refused or reached nobody", s.Refused)
	row("owners made", s.Mints)
	row("of them after a release (moves)", s.Moves)
	row("tokens minted twice after a rollback (none used twice)", s.Duplicates)
	row("records in the histories", s.Records)
	row("slowest recovery of an object after the faults", s.Recovery.Round(time.Millisecond))
	for _, f := range slices.Sorted(maps.Keys(s.Faults)) {
		row("fault: "+f, s.Faults[f])
	}
	n := 0
	for _, v := range broken {
		n += v
	}
	row("**violations**", fmt.Sprintf("**%d** %s", n, strings.Join(slices.Sorted(maps.Keys(broken)), " ")))
	return b.String()
}

const document = "../../docs/ownership-proof.md"

// part gives what stands in the document between the marks of that name.
func part(t *testing.T, name string) (before, text, after string) {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	open, end := "<!-- "+name+": begin -->\n", "<!-- "+name+": end -->\n"
	before, rest, ok := strings.Cut(string(b), open)
	text, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part %q", document, name)
	}
	return before + open, text, end + after
}

func replacePart(t *testing.T, name, text string) {
	t.Helper()
	before, _, after := part(t, name)
	if err := os.WriteFile(document, []byte(before+text+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
