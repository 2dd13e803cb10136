package schema

import (
	"strconv"
	"strings"
)

// declare scans a file for its declarations. It never fails: what it does not
// understand makes the file odd.
func declare(text []byte, strings *interner) *fileDecls {
	p := declareParser{lex: newLexer(text), file: &fileDecls{}, strings: strings}
	p.next()
	p.parseFile()
	return p.file
}

// interner keeps one copy of each name.
type interner struct{ seen map[string]string }

func newInterner() *interner { return &interner{seen: map[string]string{}} }

func (n *interner) get(b []byte) string {
	if s, ok := n.seen[string(b)]; ok {
		return s
	}
	s := string(b)
	n.seen[s] = s
	return s
}

// declareParser is a recursive descent over the shape of a file. Each parse
// function starts at the first token of its statement and ends behind it.
type declareParser struct {
	lex     lexer
	file    *fileDecls
	strings *interner
	depth   int

	scope string // full name that declarations here are inside of
	open  []openDecl
	// visit, when set, is told of every named thing, fields and enum values
	// included; for places.
	visit func(fullName string, start int)
}

// openDecl is a declaration whose tokens are being collected.
type openDecl struct {
	index  int
	tokens []byte
}

func (p *declareParser) next() {
	if n := len(p.open); n > 0 && p.lex.kind != tokenEOF {
		o := &p.open[n-1]
		o.tokens = append(append(o.tokens, p.lex.token()...), 0)
	}
	p.lex.next()
	if p.lex.kind == tokenBad {
		p.fail()
	}
}

// skipToken moves on without counting the token in.
func (p *declareParser) skipToken() {
	p.lex.next()
	if p.lex.kind == tokenBad {
		p.fail()
	}
}

// fail makes the file odd and ends the scan.
func (p *declareParser) fail() {
	p.file.odd = true
	p.lex.start, p.lex.end, p.lex.kind = len(p.lex.text), len(p.lex.text), tokenEOF
}

func (p *declareParser) isEnd() bool { return p.lex.kind == tokenEOF }

func (p *declareParser) expect(s string) {
	if !p.lex.is(s) {
		p.fail()
		return
	}
	p.next()
}

func (p *declareParser) word() string {
	if p.lex.kind != tokenWord {
		p.fail()
		return ""
	}
	w := p.strings.get(p.lex.token())
	p.next()
	return w
}

// typeName reads a.b.C or .a.b.C, which may have blanks in it.
func (p *declareParser) typeName() string {
	start, end := p.lex.start, p.lex.end
	tight := true
	for expectWord := true; !p.isEnd(); {
		isDot := p.lex.is(".")
		switch {
		case isDot && expectWord && p.lex.start != start: // a..b
			p.fail()
			return ""
		case isDot:
			expectWord = true
		case p.lex.kind == tokenWord && expectWord:
			expectWord = false
		case expectWord:
			p.fail()
			return ""
		default:
			if tight {
				return p.strings.get(p.lex.text[start:end])
			}
			return p.strings.get(withoutBlanks(p.lex.text[start:end]))
		}
		tight = tight && (p.lex.start == start || p.lex.start == end)
		end = p.lex.end
		p.next()
	}
	p.fail()
	return ""
}

func withoutBlanks(text []byte) []byte {
	var out []byte
	l := newLexer(text)
	for l.next() != tokenEOF && l.kind != tokenBad {
		out = append(out, l.token()...)
	}
	return out
}

func (p *declareParser) join(name string) string {
	if p.scope == "" {
		return name
	}
	return p.scope + "." + name
}

// enter begins a declaration at the current token.
func (p *declareParser) enter(kind declKind, start int) int {
	parent := -1
	if n := len(p.open); n > 0 {
		parent = p.open[n-1].index
	}
	p.file.decls = append(p.file.decls, declaration{kind: kind, start: start, parent: parent})
	index := len(p.file.decls) - 1
	var spare []byte
	if n := len(p.open); n < cap(p.open) {
		spare = p.open[:n+1][n].tokens[:0]
	}
	p.open = append(p.open, openDecl{index: index, tokens: spare})
	return index
}

// leave ends the innermost declaration, whose last token was consumed.
func (p *declareParser) leave(end int) {
	o := &p.open[len(p.open)-1]
	d := &p.file.decls[o.index]
	d.end = end
	d.digest = digestOf(append(o.tokens, p.file.context...))
	p.open = p.open[:len(p.open)-1]
}

func (p *declareParser) ref(name string) {
	if name == "" || isBuiltinType(name) || len(p.open) == 0 {
		return
	}
	d := &p.file.decls[p.open[len(p.open)-1].index]
	d.refs = append(d.refs, name)
}

func (p *declareParser) named(name string, start int) {
	if p.visit != nil {
		p.visit(p.join(name), start)
	}
}

func (p *declareParser) parseFile() {
	for !p.isEnd() {
		start := p.lex.start
		switch {
		case p.lex.is(";"):
			p.next()
		case p.lex.is("syntax"), p.lex.is("edition"):
			p.keepContext(p.skipStatement)
		case p.lex.is("package"):
			p.file.odd = p.file.odd || len(p.file.decls) > 0 // their names lack it
			p.next()
			p.file.pkg = p.typeName()
			p.scope = p.file.pkg
			p.expect(";")
			p.file.header = append(p.file.header, span{start, p.lex.start})
		case p.lex.is("import"):
			p.parseImport()
		case p.lex.is("option"):
			p.parseFileOption()
		default:
			p.parseDefinition(start)
		}
	}
}

// keepContext adds a statement's tokens to the file's context. Declarations
// come after them in any file that a compiler accepts, but for options, which
// parseFileOption allows for.
func (p *declareParser) keepContext(statement func()) {
	from := p.lex.start
	statement()
	p.file.header = append(p.file.header, span{from, p.lex.start})
	l := newLexer(p.lex.text[from:p.lex.start])
	for l.next() != tokenEOF && l.kind != tokenBad {
		p.file.headerExtension = p.file.headerExtension || l.is("(")
		p.file.context = append(append(p.file.context, l.token()...), 0)
	}
}

// parseFileOption keeps features. One that stands behind a declaration would
// be missing from that declaration's digest, so such a file is odd.
func (p *declareParser) parseFileOption() {
	start := p.lex.start
	l := p.lex // look ahead
	l.next()
	switch {
	case l.is("features"):
		if len(p.file.decls) > 0 {
			p.file.odd = true
		}
		p.keepContext(p.skipStatement)
	case l.is("("):
		p.skipStatement()
		p.file.options = append(p.file.options, span{start, p.lex.start})
	default:
		p.skipStatement()
	}
}

// parseDefinition reads message, enum, service or extend, at the top or in a
// message.
func (p *declareParser) parseDefinition(start int) {
	if p.lex.is("export") || p.lex.is("local") {
		p.next()
	}
	switch {
	case p.lex.is("message"):
		p.parseMessage(start)
	case p.lex.is("enum"):
		p.parseEnum(start)
	case p.lex.is("service"):
		p.parseService(start)
	case p.lex.is("extend"):
		p.parseExtend()
	default:
		p.fail()
	}
}

func (p *declareParser) parseImport() {
	imp := importDecl{start: p.lex.start}
	p.next()
	if p.lex.kind == tokenWord {
		imp.public = p.lex.is("public")
		p.next()
	}
	imp.pathAt = p.lex.start
	var path []byte
	for p.lex.kind == tokenString {
		path = append(path, unquoteProto(p.lex.token())...)
		p.next()
	}
	imp.path = p.strings.get(path)
	p.expect(";")
	imp.end = p.lex.start
	p.file.imports = append(p.file.imports, imp)
}

// unquoteProto is the text of a string literal. Import paths have no escapes
// in practice; simple ones are understood.
func unquoteProto(literal []byte) []byte {
	inner := literal[1 : len(literal)-1]
	if !strings.ContainsRune(string(inner), '\\') {
		return inner
	}
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(string(inner), `"`, `\"`) + `"`)
	if err != nil {
		return inner
	}
	return []byte(text)
}

// skipStatement ends behind the next semicolon outside brackets.
func (p *declareParser) skipStatement() { p.skipUntil(";") }

func (p *declareParser) skipUntil(end string) {
	depth := 0
	for !p.isEnd() {
		if depth == 0 && p.lex.is(end) {
			p.next()
			return
		}
		switch p.lex.text[p.lex.start] {
		case '{', '[', '(':
			if p.lex.kind == tokenPunct {
				depth++
			}
		case '}', ']', ')':
			if p.lex.kind == tokenPunct {
				depth--
			}
		}
		if depth < 0 || depth+p.depth > maxNesting {
			p.fail()
			return
		}
		p.next()
	}
	p.fail()
}

// nested runs a body between braces, one statement at a time.
func (p *declareParser) nested(name string, statement func()) {
	if p.depth++; p.depth > maxNesting {
		p.fail()
	}
	outer := p.scope
	if name != "" {
		p.scope = p.join(name)
	}
	p.expect("{")
	for !p.isEnd() && !p.lex.is("}") {
		if p.lex.is(";") {
			p.next()
			continue
		}
		statement()
	}
	p.expect("}")
	p.scope = outer
	p.depth--
}
