package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestEnvoyScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Files: []string{"testdata/envoy_config.txtar"}, RequireExplicitExec: true})
}
