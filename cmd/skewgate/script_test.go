package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary the skewgate command in scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"skewgate": main})
}

// TestCompatScripts runs what a person would type: testdata/compat*.txtar.
func TestCompatScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/compat*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	testscript.Run(t, testscript.Params{Files: files, RequireExplicitExec: true})
}
