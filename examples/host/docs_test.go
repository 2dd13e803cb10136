package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const page = "../../docs/host.md"

// blocks gives the blocks of Go code on a page.
func blocks(text string) (code []string) {
	for {
		_, after, ok := strings.Cut(text, "```go\n")
		if !ok {
			return code
		}
		block, rest, _ := strings.Cut(after, "```")
		code, text = append(code, block), rest
	}
}

// flat is code without its indentation.
func flat(code string) string {
	lines := strings.Split(strings.Trim(code, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// missing gives the blocks that are no part of any file here.
func missing(t *testing.T, code []string) (none []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		if f == "docs_test.go" {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(flat(string(b)))
	}
	for _, block := range code {
		if !strings.Contains(all.String(), flat(block)) {
			none = append(none, block)
		}
	}
	return none
}

// Each block of docs/host.md is part of this program, which the other tests run.
func TestDocsAreThisCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	code := blocks(string(text))
	if len(code) < 12 {
		t.Errorf("%d blocks were found", len(code))
	}
	for _, block := range missing(t, code) {
		t.Errorf("not in examples/host:\n%s", block)
	}
}

// The check is checked: a block with one other word is missing.
func TestControlDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks(string(text)) {
		if spoilt := strings.Replace(block, "ctx", "context", 1); spoilt != block && len(missing(t, []string{spoilt})) == 0 {
			t.Errorf("a block that is not here was found:\n%s", spoilt)
		}
	}
	if len(missing(t, []string{"h.Handel(\"Cart\", openCart)\n"})) == 0 {
		t.Error("a line that is not here was found")
	}
}
