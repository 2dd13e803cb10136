package schema

// parseOption reads `option name = value;`.
func (p *declareParser) parseOption() {
	start := p.lex.start
	if !p.lex.is("option") {
		p.fail()
		return
	}
	if p.irrelevantAhead() {
		p.skipOption(";")
		if p.lex.is(";") {
			p.skipToken()
		}
		p.file.options = append(p.file.options, span{start, p.lex.start})
		return
	}
	p.next()
	p.optionBody(";")
	p.expect(";")
}

// irrelevantAhead looks behind `option`, `[` or `,` for a custom option that
// no rule reads.
func (p *declareParser) irrelevantAhead() bool {
	l := p.lex
	if l.next(); !l.is("(") {
		return false
	}
	var name []byte
	for l.next() == tokenWord || l.is(".") {
		name = append(name, l.token()...)
	}
	return l.is(")") && len(name) > 0 && !relevantOption(string(name), p.file.pkg)
}

// skipOption passes an option without counting its tokens, up to an end
// outside brackets: the separator, a comma or the closing bracket.
func (p *declareParser) skipOption(separator string) {
	depth := 0
	for !p.isEnd() {
		if depth == 0 && (p.lex.is(separator) || (separator == "," && p.lex.is("]"))) {
			return
		}
		if p.lex.kind == tokenPunct {
			switch p.lex.text[p.lex.start] {
			case '{', '[', '(':
				depth++
			case '}', ']', ')':
				depth--
			}
		}
		if depth < 0 || depth+p.depth > maxNesting {
			break
		}
		p.skipToken()
	}
	p.fail()
}

// optionBody reads `name = value`, noting the extensions that the name and
// the value's text format mention: a rule may be declared by one.
func (p *declareParser) optionBody(separator string) {
	depth := 0
	for !p.isEnd() {
		if depth == 0 && (p.lex.is(separator) || (separator == "," && p.lex.is("]"))) {
			return
		}
		open := p.lex.kind == tokenPunct && (p.lex.is("(") || p.lex.is("["))
		if p.lex.kind == tokenPunct {
			switch p.lex.text[p.lex.start] {
			case '{', '[', '(':
				depth++
			case '}', ']', ')':
				depth--
			}
		}
		if depth < 0 || depth+p.depth > maxNesting {
			p.fail()
			return
		}
		p.next()
		if open && (p.lex.kind == tokenWord || p.lex.is(".")) {
			p.ref(p.extensionName())
		}
	}
	p.fail()
}

// extensionName reads a name inside ( ) or [ ], without failing on what is
// none: [true, false] is a list.
func (p *declareParser) extensionName() string {
	var name []byte
	for p.lex.kind == tokenWord || p.lex.is(".") || p.lex.is("/") {
		name = append(name, p.lex.token()...)
		p.next()
	}
	if !p.lex.is(")") && !p.lex.is("]") {
		return ""
	}
	return p.strings.get(name)
}

// parseBracketOptions reads `[a = b, c = d]`. Options that no rule reads do
// not count; when none is left, neither do the brackets.
func (p *declareParser) parseBracketOptions() {
	var dropped []span
	start := p.lex.start
	kept := 0
	for !p.isEnd() && !p.lex.is("]") { // at [ or ,
		from := p.lex.start
		if p.irrelevantAhead() {
			p.skipToken()
			p.skipOption(",")
			dropped = append(dropped, span{from, p.lex.start})
			continue
		}
		if kept++; kept == 1 && len(dropped) > 0 { // the bracket went with the first
			dropped[0].start++
			dropped[len(dropped)-1].end++
			p.countToken("[")
			p.skipToken()
		} else {
			p.next()
		}
		p.optionBody(",")
	}
	switch {
	case p.isEnd():
		p.fail()
	case kept > 0:
		p.next()
	default:
		p.skipToken()
		dropped = []span{{start, p.lex.start}}
	}
	p.file.options = append(p.file.options, dropped...)
}

// countToken counts a token that stands elsewhere.
func (p *declareParser) countToken(s string) {
	if n := len(p.open); n > 0 {
		o := &p.open[n-1]
		o.tokens = append(append(o.tokens, s...), 0)
	}
}
