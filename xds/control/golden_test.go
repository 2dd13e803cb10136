package control

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/problem"
)

var update = flag.Bool("update", false, "write testdata/xds/out anew")

// scene is a file of testdata/xds/in.
type scene struct {
	Mesh     string `yaml:"mesh"`
	Sessions []struct {
		ID      string   `yaml:"id"`
		Name    string   `yaml:"name"`
		Addr    string   `yaml:"addr"`
		App     string   `yaml:"app"`
		Version string   `yaml:"version"`
		Preview string   `yaml:"preview"`
		Classes []string `yaml:"classes"`
		State   string   `yaml:"state"`
		Ready   bool     `yaml:"ready"`
		Wanted  string   `yaml:"wanted"`
	} `yaml:"sessions"`
	Deployments map[string][]struct {
		Version string  `yaml:"version"`
		Weight  float64 `yaml:"weight"`
		Salt    string  `yaml:"salt"`
	} `yaml:"deployments"`
	Matrix []struct {
		Class   string `yaml:"class"`
		Caller  string `yaml:"caller"`
		Object  string `yaml:"object"`
		Method  string `yaml:"method"`
		Rule    string `yaml:"rule"`
		Message string `yaml:"message"`
	} `yaml:"matrix"`
}

func readScene(t *testing.T, file string) Intent {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s scene
	if err := problem.DecodeYAML(file, data, &s); err != nil {
		t.Fatal(err)
	}
	m, err := mesh.Parse(file, []byte(s.Mesh))
	if err != nil {
		t.Fatal(err)
	}
	i := Intent{Classes: m.Classes, Deployments: map[string][]routing.Weighted{}}
	for _, e := range s.Sessions {
		i.Sessions = append(i.Sessions, owners.Session{ID: e.ID, Name: e.Name, Addr: e.Addr, App: e.App, Version: e.Version, Preview: e.Preview,
			Classes: e.Classes, State: owners.SessionState(e.State), Ready: e.Ready, Wanted: owners.Wanted(e.Wanted)})
	}
	for app, d := range s.Deployments {
		for _, v := range d {
			i.Deployments[app] = append(i.Deployments[app], routing.Weighted(v))
		}
	}
	for _, c := range s.Matrix {
		i.Matrix.Calls = append(i.Matrix.Calls, routing.Incompatible(c))
	}
	return i
}

// What control serves for each mesh of testdata/xds/in stands in
// testdata/xds/out, one file for a resource, for people to read.
// go test ./xds/control -run Golden -update writes it anew.
func TestGoldenResources(t *testing.T) {
	files, err := filepath.Glob("../../testdata/xds/in/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			spec, left := readScene(t, file).Spec()
			if len(left) > 0 {
				t.Fatal(left)
			}
			b, err := build(spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := render(t, b)
			dir := filepath.Join("../../testdata/xds/out", name)
			if *update {
				writeGolden(t, dir, got)
			}
			compareGolden(t, dir, got)
		})
	}
}

func render(t *testing.T, b *built) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for set, all := range map[string]resources{
		"eds": b.endpoints, "cds": b.standard.clusters, "rds": b.standard.routes, "lds": b.standard.listeners,
		"picker-cds": b.picker.clusters, "picker-rds": b.picker.routes,
	} {
		for name, m := range all {
			data, err := protojson.Marshal(m.message)
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer
			// protojson varies its white space on purpose.
			if err := json.Indent(&pretty, data, "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			out[fmt.Sprintf("%s.%s.json", set, strings.ReplaceAll(name, "/", "_"))] = bytes.ReplaceAll(pretty.Bytes(), []byte(`":  `), []byte(`": `))
		}
	}
	return out
}

func writeGolden(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func compareGolden(t *testing.T, dir string, got map[string][]byte) {
	t.Helper()
	there, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v (run with -update?)", err)
			continue
		}
		if !bytes.Equal(want, got[name]) {
			t.Errorf("%s differs (run with -update and look at the diff); it is now:\n%s", name, got[name])
		}
	}
	if len(there) != len(got) {
		t.Errorf("%d files in %s, %d resources", len(there), dir, len(got))
	}
}
