package compat

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// matching makes texts that match a pattern of RE2, which is what rules are
// written in: with few and with more repetitions, with the first and the last
// character of a class and each of those at which patterns may differ, with
// each of the first alternatives.
func matching(pattern string, decisive []rune) []string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	var out []string
	seen := make(map[string]bool)
	add := func(g patternText) {
		g.write(re)
		if text := g.String(); !seen[text] && g.Len() <= patternLimit && g.steps <= patternLimit {
			seen[text] = true
			out = append(out, text)
		}
	}
	for _, more := range []int{0, 1, 2, 9} {
		for _, last := range []bool{false, true} {
			for branch := range 3 {
				add(patternText{more: more, last: last, branch: branch})
			}
		}
	}
	for _, r := range decisive {
		for branch := range 3 {
			add(patternText{more: 1, branch: branch, want: r})
		}
	}
	return out
}

// fewDecisive bounds the characters at which patterns are told apart: classes
// of Unicode have hundreds of ranges.
const fewDecisive = 128

// decisive are the characters at which classes of patterns begin and end, and
// those beside them: where one class has a character that another has not, one
// of these is such a one, too.
func decisive(patterns []string) []rune {
	var out []rune
	seen := make(map[rune]bool)
	add := func(r rune) {
		if r > 0 && utf8.ValidRune(r) && !seen[r] && len(out) < fewDecisive {
			seen[r] = true
			out = append(out, r)
		}
	}
	steps := 0
	var walk func(re *syntax.Regexp)
	walk = func(re *syntax.Regexp) {
		if steps++; steps > patternLimit {
			return
		}
		if re.Op == syntax.OpCharClass {
			for i := 0; i+1 < len(re.Rune); i += 2 {
				for _, r := range []rune{re.Rune[i], re.Rune[i+1], re.Rune[i] - 1, re.Rune[i+1] + 1} {
					add(r)
				}
			}
		}
		for _, sub := range re.Sub {
			walk(sub)
		}
	}
	for _, pattern := range patterns {
		if re, err := syntax.Parse(pattern, syntax.Perl); err == nil {
			walk(re)
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
	want   rune // of a class this one, if it has it; 0: not asked for
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
		g.class(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		if g.want > 0 && g.want != '\n' {
			g.WriteRune(g.want)
			break
		}
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

// class writes one character of a class, which is ranges.
func (g *patternText) class(ranges []rune) {
	if len(ranges) == 0 {
		return
	}
	r := ranges[0]
	if g.last {
		r = ranges[len(ranges)-1]
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] <= g.want && g.want <= ranges[i+1] {
			r = g.want
		}
	}
	g.WriteRune(r)
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
