package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestCIScripts runs what the CI templates run, in repositories made for it.
func TestCIScripts(t *testing.T) {
	ci, err := filepath.Abs("../../deployments/ci")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/ci.txtar"}, RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "CI_DIR="+ci, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
				"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_GLOBAL=/dev/null")
			return nil
		},
	})
}

// TestCITemplates: the templates are YAML, and what they run is there.
func TestCITemplates(t *testing.T) {
	for file, mention := range map[string]string{
		"../../deployments/ci/github/action.yml": "run.sh",
		"../../deployments/ci/gitlab/compat.yml": "compat.sh",
		"../../.pre-commit-hooks.yaml":           "deployments/ci/pre-commit.sh",
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var document any
		if err := yaml.Unmarshal(data, &document); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if !strings.Contains(string(data), mention) {
			t.Errorf("%s does not run %s", file, mention)
		}
	}
	for _, script := range []string{"compat.sh", "pre-commit.sh", "github/run.sh"} {
		info, err := os.Stat(filepath.Join("../../deployments/ci", script))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&0o111 == 0 {
			t.Errorf("%s is not executable", script)
		}
	}
}
