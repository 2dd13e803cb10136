package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const besideBuf = "../../testdata/beside-buf"

// besideBufPage is a table of what buf and we say of changes of which buf is
// silent, or which it flags without need.
const besideBufPage = "../../docs/compat-beside-buf.md"

// TestBesideBuf checks each change, and holds the table in the documentation
// to our answers. What buf says there is what .tools/bin/buf said when the
// table was written (SKEWGATE_UPDATE=1, after tools/compat-corpora.sh).
func TestBesideBuf(t *testing.T) {
	dirs, err := os.ReadDir(besideBuf)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(besideBufPage)
	if err != nil && os.Getenv("SKEWGATE_UPDATE") == "" {
		t.Fatal(err)
	}
	var page strings.Builder
	page.WriteString(besideBufHead)
	for _, d := range dirs {
		dir := filepath.Join(besideBuf, d.Name())
		what, err := os.ReadFile(filepath.Join(dir, "what"))
		if err != nil {
			t.Fatal(err)
		}
		row := fmt.Sprintf("| [%s](../testdata/beside-buf/%s): %s |", d.Name(), d.Name(), strings.TrimSpace(string(what)))
		if os.Getenv("SKEWGATE_UPDATE") != "" {
			row += " " + bufSays(t, dir, "WIRE") + " | " + bufSays(t, dir, "WIRE_JSON") + " |"
		} else {
			row += bufSaid(t, string(have), row)
		}
		fmt.Fprintf(&page, "%s %s | %s |\n", row, ourAnswer(t, dir, "binary"), ourAnswer(t, dir, "json"))
	}
	if os.Getenv("SKEWGATE_UPDATE") != "" {
		if err := os.WriteFile(besideBufPage, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page.String() != string(have) {
		t.Errorf("%s is not what the checker says now (SKEWGATE_UPDATE=1 writes it):\n%s", besideBufPage, page.String())
	}
}

const besideBufHead = `# compat beside buf breaking

Written by a run of both over [testdata/beside-buf](../testdata/beside-buf): buf 1.75.0 with one category, skewgate with
one encoding, window ` + "`auto`" + `. An effect is given for each direction that has one: o→n is written by the old version and
read by the new one. The order is what follows; ` + "`any`" + ` with nothing else means: nothing happens. The message is both
request and response of a method there, so what breaks in one direction has no safe order; in a request or a response
alone it has one.

| change | buf WIRE | buf WIRE_JSON | skewgate, binary | skewgate, json |
|---|---|---|---|---|
`

// bufSaid takes buf's two cells of a row that is there.
func bufSaid(t *testing.T, page, row string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, row)
	cells := strings.SplitN(rest, "|", 3)
	if !ok || len(cells) < 3 {
		t.Fatalf("%s has no row %q\n    → SKEWGATE_UPDATE=1 writes it, with .tools/bin/buf from tools/compat-corpora.sh", besideBufPage, row)
	}
	return cells[0] + "|" + cells[1] + "|"
}

func bufSays(t *testing.T, dir, category string) string {
	t.Helper()
	buf, err := filepath.Abs("../../.tools/bin/buf")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(buf, "breaking", ".", "--against", "../old", "--error-format", "json", "--config", `{"version":"v2","breaking":{"use":["`+category+`"]}}`)
	cmd.Dir = filepath.Join(dir, "new")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 100 {
		t.Fatalf("%s: %v\n%s", cmd, err, errs.String())
	}
	rules := make(map[string]bool)
	for d := json.NewDecoder(&out); d.More(); {
		var line struct{ Type, Message string }
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Type == "COMPILE" {
			t.Fatalf("%s does not compile: %s", dir, line.Message)
		}
		rules[line.Type] = true
	}
	if len(rules) == 0 {
		return "silent"
	}
	return strings.Join(slices.Sorted(maps.Keys(rules)), ", ")
}

// ourAnswer is the order and what happens in each direction.
func ourAnswer(t *testing.T, dir, encoding string) string {
	t.Helper()
	args := []string{"compat", "check", "--old", filepath.Join(dir, "old"), "--new", filepath.Join(dir, "new"), "--encoding", encoding, "--format", "json"}
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr); code > exitNo {
		t.Fatalf("exit %d\n%s", code, stderr.String())
	}
	var r struct {
		Order    string
		Findings []struct{ Rule, Effect, Writer string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	said := make(map[string]bool)
	for _, f := range r.Findings {
		way := "o→n"
		if f.Writer == "new" {
			way = "n→o"
		}
		said[fmt.Sprintf("%s %s %s", f.Rule, way, f.Effect)] = true
	}
	return strings.Join(append([]string{"**" + r.Order + "**"}, slices.Sorted(maps.Keys(said))...), "; ")
}
