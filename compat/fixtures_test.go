package compat

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/schema"
)

// fixtureMessages is how many random messages each message type of a fixture
// sends, each way.
const fixtureMessages = 25

// TestFixturesAreExecution sends random messages through every fixture, in
// both directions: what comes out other than it went in was predicted, and
// what is ok in the verdict table arrives.
func TestFixturesAreExecution(t *testing.T) {
	cases, err := filepath.Glob("../testdata/rules/*/old/*.proto")
	if err != nil || len(cases) < 100 {
		t.Fatalf("%d fixtures, %v", len(cases), err)
	}
	run := &fuzzRun{t: t, shown: make(map[string]int), rules: make(map[string]int)}
	for i, path := range cases {
		if strings.Contains(path, "CONSTRAINT_") {
			continue // protovalidate refuses, not a decoder
		}
		g := &schemaMaker{Rand: rand.New(rand.NewPCG(uint64(i), 11))}
		run.sets(uint64(i), g, fixtureMessages, fixture(t, "old", path), fixture(t, "new", strings.Replace(path, "/old/", "/new/", 1)))
	}
	t.Logf("%d cases of %d fixtures, effects seen: %v", run.cases, run.pairs, run.shown)
	if run.cases < 10_000 || run.shown[string(Value)] == 0 {
		t.Errorf("only %d cases", run.cases)
	}
}

func fixture(t *testing.T, name, path string) *schema.Set {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	everything := func(*schema.Manifest) *schema.Want { return &schema.Want{All: true} }
	files := map[string]string{filepath.Base(path): string(data)}
	if manifest, err := os.ReadFile(strings.TrimSuffix(path, ".proto") + ".yaml"); err == nil {
		files[schema.ManifestName] = string(manifest)
	}
	in := schema.Sources(files)
	set, err := schema.Load(context.Background(), in, schema.Options{Name: name, Want: everything})
	if err != nil {
		t.Fatal(err)
	}
	return set
}
