package compat

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMatching: what is made for a pattern matches it.
func TestMatching(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		`^[0-9]{4}$`, `^v[0-9]+(\.[0-9]+){0,2}$`, `^(red|green|blue)$`, `^[^a-c]x?y*$`, `^\w+@\w+\.com$`, `(?i)^abc$`, `^\p{Greek}{2,}$`, `.`, ``,
	} {
		re := regexp.MustCompile(pattern)
		texts := matching(pattern)
		if len(texts) == 0 {
			t.Errorf("%s: nothing", pattern)
		}
		for _, text := range texts {
			if !re.MatchString(text) {
				t.Errorf("%s does not match %q", pattern, text)
			}
		}
	}
	if texts := matching(`^(red|green|blue)$`); len(texts) != 3 {
		t.Errorf("of three alternatives: %q", texts)
	}
	if len(matching(`(`)) > 0 {
		t.Error("no pattern matches something")
	}
}

// TestMatchingEnds: repetitions of repetitions, of nothing too, take no time.
func TestMatchingEnds(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for _, inner := range []string{"", "a", "a{9}"} {
		matching(strings.Repeat("(", 200) + inner + strings.Repeat(")*", 200))
		matching(strings.Repeat("(", 200) + inner + strings.Repeat(")+", 200))
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
