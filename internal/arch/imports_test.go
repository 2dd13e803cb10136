// Package arch holds the house's borders as tests.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/skewgate/skewgate"

// A ban says which packages may not be reached, transitively, and why.
type ban struct {
	from   []string // packages of ours; "x/..." takes those below too
	except []string // packages of ours that from does not mean
	reach  []string // import path prefixes
	why    string
}

var bans = []ban{
	{from: []string{"schema", "compat/..."}, reach: []string{"github.com/redis/", "github.com/envoyproxy/", "google.golang.org/grpc", module + "/owners", module + "/xds"},
		why: "the checker runs in CI: no network, no Redis, no xDS"},
	{from: []string{"gateway/..."}, reach: []string{"github.com/bufbuild/protocompile", module + "/compat", module + "/schema"},
		why: "the matrix reaches a gateway as data in the Table"},
	{from: []string{"gateway/..."}, except: []string{"gateway/picker"}, reach: []string{"github.com/envoyproxy/"},
		why: "only the picker and xds speak Envoy's protos"},
	{from: []string{"owners", "forward", "wire", "problem", "caller", "gateway/routing", "rollout/assign"}, reach: []string{module},
		why: "leaves: they reach none of ours"},
	{from: []string{"gateway/routing", "rollout/assign"}, reach: []string{"github.com/", "golang.org/x/", "google.golang.org/", "go.uber.org/"},
		why: "pure: standard library only"},
	{from: []string{"host/..."}, reach: []string{module + "/gateway", module + "/xds", module + "/rollout", "github.com/envoyproxy/"},
		why: "what people link must be small and know no gateway"},
	{from: []string{"..."}, except: []string{"cmd/skewgate"}, reach: []string{module + "/cmd"},
		why: "nobody imports cmd"},
}

func TestImports(t *testing.T) {
	deps := listDeps(t)
	for _, b := range bans {
		for pkg, reached := range deps {
			if !b.covers(pkg) {
				continue
			}
			for _, dep := range reached {
				if i := slices.IndexFunc(b.reach, func(p string) bool { return strings.HasPrefix(dep, p) }); i >= 0 {
					t.Errorf("%s reaches %s: %s", pkg, dep, b.why)
				}
			}
		}
	}
}

// TestBansAreAlive guards the guard: a ban whose packages do not exist bans nothing.
func TestBansAreAlive(t *testing.T) {
	deps := listDeps(t)
	for _, b := range bans {
		for _, from := range b.from {
			one := ban{from: []string{from}}
			alive := false
			for pkg := range deps {
				alive = alive || one.covers(pkg)
			}
			if !alive {
				t.Errorf("no package matches %q (%s)", from, b.why)
			}
		}
	}
}

// TestBanIsSeen is the negative control: a ban on something that is surely reached must be found.
func TestBanIsSeen(t *testing.T) {
	deps := listDeps(t)
	if !slices.ContainsFunc(deps[module+"/owners"], func(d string) bool { return strings.HasPrefix(d, "github.com/redis/") }) {
		t.Fatal("owners does not seem to reach go-redis: the listing of dependencies is broken")
	}
}

func (b ban) covers(pkg string) bool {
	rel := strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
	return matches(b.from, rel) && !matches(b.except, rel)
}

func matches(patterns []string, rel string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		base, deep := strings.CutSuffix(p, "...")
		if !deep {
			return rel == p
		}
		base = strings.TrimSuffix(base, "/")
		return base == "" || rel == base || strings.HasPrefix(rel, base+"/")
	})
}

// listDeps gives, for each package of ours, everything it reaches except itself and test code.
func listDeps(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Deps", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := map[string][]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Deps       []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return deps
		} else if err != nil {
			t.Fatal(err)
		}
		deps[p.ImportPath] = p.Deps
	}
}
