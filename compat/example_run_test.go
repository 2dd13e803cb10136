package compat

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/skewgate/skewgate/schema"
)

// sources makes a proto file of a body: edition 2023 unless it says otherwise.
func sources(body string) schema.Input {
	head := "edition = \"2023\";\npackage t;\noption features.field_presence = IMPLICIT;\n"
	if strings.HasPrefix(body, "syntax") || strings.HasPrefix(body, "edition") {
		head = ""
	}
	return schema.Sources(map[string]string{"t.proto": head + body})
}

func loadBody(t *testing.T, name, body string) *schema.Set {
	t.Helper()
	set, err := schema.Load(context.Background(), sources(body), schema.Options{Name: name, Want: func(*schema.Manifest) *schema.Want { return &schema.Want{All: true} }, Full: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return set
}

func TestExamplesShow(t *testing.T) {
	for _, r := range Rules() {
		if r.Example.Old == "" {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			old, new := loadBody(t, "v1", r.Example.Old), loadBody(t, "v2", r.Example.New)
			opts := Options{AllMessages: true, Encodings: []Encoding{Binary, JSON, Lenient}}
			if strings.HasPrefix(r.ID, "STATE") {
				opts = Options{State: []string{"t.M", "t.N"}}
			}
			rep, err := Check(context.Background(), Request{Old: old, New: new, Options: opts})
			if err != nil {
				t.Fatal(err)
			}
			seen := false
			for _, f := range rep.Findings {
				if f.Leg == "state" && !strings.HasPrefix(r.ID, "STATE") || f.Leg == "response" && f.Rule != "METHOD_SERVER_STREAMING_CHANGED" {
					continue
				}
				fmt.Printf("%-8s %s→%s %-12s %-8s %s\n    %s\n    fix: %s\n    witness: %s %s\n", f.Effect, f.Writer, f.Reader, f.Encoding, f.Severity, f.Rule, f.Message, f.Fix, f.Witness.Value, f.Witness.Outcome)
				seen = seen || f.Rule == r.ID
			}
			if !seen {
				t.Errorf("not shown")
			}
		})
	}
}
