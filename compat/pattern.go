package compat

import (
	"regexp/syntax"
	"strings"
)

// matching makes texts that match a pattern of RE2, which is what rules are
// written in: with few and with more repetitions, with the first and the last
// character of a class, with each of the first alternatives.
func matching(pattern string) []string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	var out []string
	seen := make(map[string]bool)
	for _, more := range []int{0, 1, 2, 9} {
		for _, last := range []bool{false, true} {
			for branch := range 3 {
				g := patternText{more: more, last: last, branch: branch}
				g.write(re)
				if text := g.String(); !seen[text] && g.Len() <= patternLimit && g.steps <= patternLimit {
					seen[text] = true
					out = append(out, text)
				}
			}
		}
	}
	return out
}

// patternLimit bounds a text that is made for a pattern, and the steps that
// making it takes: repetitions nest, of nothing too.
const patternLimit = 1 << 12

// patternText writes one text that matches.
type patternText struct {
	strings.Builder
	more   int  // repetitions beyond the least
	last   bool // of a class the last character
	branch int  // of alternatives
	steps  int
}

func (g *patternText) write(re *syntax.Regexp) {
	if g.steps++; g.Len() > patternLimit || g.steps > patternLimit {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		g.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			r := re.Rune[0]
			if g.last {
				r = re.Rune[len(re.Rune)-1]
			}
			g.WriteRune(r)
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		g.WriteByte('x')
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			g.write(sub)
		}
	case syntax.OpAlternate:
		g.write(re.Sub[g.branch%len(re.Sub)])
	case syntax.OpStar:
		g.repeat(re.Sub[0], 0, -1)
	case syntax.OpPlus:
		g.repeat(re.Sub[0], 1, -1)
	case syntax.OpQuest:
		g.repeat(re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		g.repeat(re.Sub[0], re.Min, re.Max)
	}
}

func (g *patternText) repeat(re *syntax.Regexp, least, most int) {
	n := least + g.more
	if most >= 0 {
		n = min(n, most)
	}
	for range n {
		if g.steps > patternLimit {
			return
		}
		g.write(re)
	}
}
