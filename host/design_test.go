package host_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The map from rules to tests must not name what is not there.
func TestDesignNamesRealTestsAndFiles(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "agent/*_test.go", "storage/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(b)
		}
	}
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(doc), -1)
	if len(names) < 20 {
		t.Errorf("%d tests are named", len(names))
	}
	for _, n := range names {
		if !strings.Contains(tests.String(), "func "+n[1]+"(t *testing.T)") {
			t.Errorf("there is no test %s", n[1])
		}
	}
	for _, f := range regexp.MustCompile("`([a-z/]+\\.go)`").FindAllStringSubmatch(string(doc), -1) {
		if _, err := os.Stat(f[1]); err != nil {
			t.Error(err)
		}
	}
}
