package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module gets a Go module's folder from the module proxy.
func module(t *testing.T, at string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", at)
	out, err := cmd.Output()
	var m struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &m); err != nil || jsonErr != nil || m.Dir == "" {
		t.Fatalf("go mod download %s: %v %s\nthis test reads real histories from the Go module proxy: get on line, or set GOPROXY", at, err, m.Error)
	}
	return m.Dir
}

// TestEtcdHistory holds the checker against the real history of etcd's API.
func TestEtcdHistory(t *testing.T) {
	paths := []string{
		"--proto-path", module(t, "github.com/gogo/protobuf@v1.3.2"),
		"--proto-path", filepath.Join(module(t, "github.com/grpc-ecosystem/grpc-gateway@v1.16.0"), "third_party", "googleapis"),
		"--proto-path", module(t, "github.com/grpc-ecosystem/grpc-gateway/v2@v2.27.1"),
	}
	for _, tc := range []struct {
		old, new, order string
		rules           map[string]int
		infos, errors   int
	}{
		{"v3.5.0", "v3.6.0", "any", map[string]int{"FIELD_ADDED": 5}, 5, 0},
		{"v3.6.0", "v3.7.3", "objects-first", map[string]int{"METHOD_ADDED": 1}, 0, 0},
		{"v3.5.0", "v3.7.3", "objects-first", map[string]int{"FIELD_ADDED": 5, "METHOD_ADDED": 1}, 5, 0},
	} {
		t.Run(tc.old+" to "+tc.new, func(t *testing.T) {
			etcd := func(v string) string { return module(t, "go.etcd.io/etcd/api/v3@"+v) + ",prefix=etcd/api" }
			args := append([]string{"compat", "check", "--old", etcd(tc.old), "--new", etcd(tc.new), "--format", "json"}, paths...)
			var stdout, stderr bytes.Buffer
			if code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr); code != 0 {
				t.Fatalf("exit %d\n%s%s", code, stdout.String(), stderr.String())
			}
			var report struct {
				Order    string
				Findings []struct {
					Rule string
					New  *struct {
						File string
						Line int
					}
					Witness struct{ Executed bool }
				}
				Summary struct{ Errors, Infos int }
			}
			if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, f := range report.Findings {
				got[f.Rule]++
				if !f.Witness.Executed || f.New == nil || f.New.Line == 0 || !strings.HasSuffix(f.New.File, ".proto") {
					t.Errorf("%s has no executed witness or no place: %+v", f.Rule, f)
				}
			}
			if report.Order != tc.order || len(got) != len(tc.rules) || report.Summary.Errors != tc.errors || report.Summary.Infos != tc.infos {
				t.Errorf("order %s, rules %v, summary %+v; want order %s, rules %v, %d errors (in the window), %d infos",
					report.Order, got, report.Summary, tc.order, tc.rules, tc.errors, tc.infos)
			}
			for rule, n := range tc.rules {
				if got[rule] != n {
					t.Errorf("%s %d times, want %d", rule, got[rule], n)
				}
			}
		})
	}
}
