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
		texts := matching(pattern, decisive([]string{pattern, `[b-y]`}))
		if len(texts) == 0 {
			t.Errorf("%s: nothing", pattern)
		}
		for _, text := range texts {
			if !re.MatchString(text) {
				t.Errorf("%s does not match %q", pattern, text)
			}
		}
	}
	if texts := matching(`^(red|green|blue)$`, nil); len(texts) != 3 {
		t.Errorf("of three alternatives: %q", texts)
	}
	if len(matching(`(`, nil)) > 0 {
		t.Error("no pattern matches something")
	}
}

// TestMatchingEnds: repetitions of repetitions, of nothing too, take no time.
func TestMatchingEnds(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for _, inner := range []string{"", "a", "a{9}"} {
		matching(strings.Repeat("(", 200)+inner+strings.Repeat(")*", 200), []rune("ab"))
		matching(strings.Repeat("(", 200)+inner+strings.Repeat(")+", 200), []rune("ab"))
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestDecisive: of two patterns that differ in one class, a text is made for
// either that the other does not match; classes of Unicode are bounded.
func TestDecisive(t *testing.T) {
	t.Parallel()
	for _, x := range [][2]string{
		{`^[a-z]+$`, `^[a-y]+$`}, {`^[a-z]{2,4}$`, `^[a-ln-z]{2,4}$`}, {`^[a-z][0-9]$`, `^[a-z][0-8]$`}, {`^\w+$`, `^[A-Za-z0-9]+$`},
		{`^[^,]+$`, `^[^,;]+$`}, {`^.+$`, `^[a-z ]+$`}, {`^(a|[b-d])x$`, `^(a|[b-c])x$`}, {`(?i)^[a-f]+$`, `^[a-f]+$`}, {`^\p{L}+$`, `^[a-z]+$`},
	} {
		narrow := regexp.MustCompile(x[1])
		found := false
		for _, text := range matching(x[0], decisive(x[:])) {
			found = found || !narrow.MatchString(text)
		}
		if !found {
			t.Errorf("%s: nothing that %s does not match", x[0], x[1])
		}
	}
	if n := len(decisive([]string{`\p{L}`, `\p{N}`})); n != fewDecisive {
		t.Errorf("%d characters", n)
	}
}
