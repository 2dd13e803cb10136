package schema

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// With and without shortcuts: the same. Most generated pairs are valid; those
// that are not must be refused by both or need no compiling.
func TestShortcutsTellTheSameAsFullCompilation(t *testing.T) {
	unchanged, compiled, valid := 0, 0, 0
	const runs = 25
	for seed := range uint64(runs) {
		u, c, ok := checkGenerated(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if ok {
			valid++
			unchanged += u
			compiled += c
		}
	}
	t.Logf("%d valid pairs of %d: %d methods unchanged, %d compiled", valid, runs, unchanged, compiled)
	if valid < runs/2 || unchanged < 10 || compiled < 20 {
		t.Errorf("the generator is no good: %d valid pairs of %d, %d methods unchanged, %d compiled", valid, runs, unchanged, compiled)
	}
}

func checkGenerated(t testing.TB, seed uint64) (unchanged, compiled int, valid bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	g := generate(r)
	before := g.sources(nil)
	for range r.IntN(4) {
		g.mutate()
	}
	after := g.sources(rand.New(rand.NewPCG(seed, 2)))
	full, err := LoadPair(t.Context(), Sources(before), Sources(after), Options{Full: true})
	if err != nil {
		if testing.Verbose() && seed < 20 {
			t.Logf("seed %d: %v", seed, err)
		}
		return 0, 0, false
	}
	short, err := LoadPair(t.Context(), Sources(before), Sources(after), Options{})
	if err != nil {
		t.Errorf("seed %d: with shortcuts: %v", seed, err)
		return 0, 0, false
	}
	unchanged, compiled = sameAsFull(t, short, full)
	return unchanged, compiled, true
}

func FuzzShortcuts(f *testing.F) {
	f.Add(uint64(0))
	f.Fuzz(func(t *testing.T, seed uint64) { checkGenerated(t, seed) })
}

// failures records what a check would report.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

// The check above must notice: a change that is called unchanged, and a
// compilation that lost something.
func TestTheComparisonWithFullCompilationNotices(t *testing.T) {
	const before = `syntax = "proto3"; package p; service S { rpc A(M) returns (M); rpc B(N) returns (N); } message M { string s = 1; } message N { M m = 1; string t = 2; }`
	after := strings.Replace(before, "string s = 1", "bytes s = 1", 1)
	old, changed := Sources(map[string]string{"p.proto": before}), Sources(map[string]string{"p.proto": after})
	pair := func(opts Options) *Pair {
		p, err := LoadPair(t.Context(), old, changed, opts)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	noticed := func(p *Pair) bool {
		f := &failures{TB: t}
		sameAsFull(f, p, pair(Options{Full: true}))
		return len(f.said) > 0
	}
	if noticed(pair(Options{})) {
		t.Fatal("a sound pair is refused")
	}
	lying := pair(Options{})
	same, err := LoadPair(t.Context(), old, old, Options{})
	if err != nil {
		t.Fatal(err)
	}
	lying.Old, lying.New = same.Old, same.New
	lying.methods = map[protoreflect.FullName]bool{"p.S.A": true, "p.S.B": true}
	if !noticed(lying) {
		t.Error("a changed method that is called unchanged is not noticed")
	}
	losing := pair(Options{})
	losing.New = losing.Old
	if !noticed(losing) {
		t.Error("another descriptor than the full compilation's is not noticed")
	}
}
