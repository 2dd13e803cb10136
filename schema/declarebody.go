package schema

import "strings"

func (p *declareParser) parseMessage(start int) {
	index := p.enter(declMessage, start)
	p.next()
	p.messageBody(index, p.word(), start)
	p.leaveBehind()
}

// leaveBehind ends the innermost declaration at the token before the current
// one.
func (p *declareParser) leaveBehind() { p.leave(p.lex.start) }

func (p *declareParser) messageBody(index int, name string, start int) {
	p.file.decls[index].name = p.join(name)
	p.named(name, start)
	p.nested(name, p.parseMember)
}

// parseMember reads one statement of a message.
func (p *declareParser) parseMember() {
	start := p.lex.start
	second := p.peek()
	isWord := second == tokenWord
	switch {
	case isWord && (p.lex.is("message") || p.lex.is("enum")):
		p.parseDefinition(start)
	case isWord && (p.lex.is("export") || p.lex.is("local")) && p.peekIsDefinition():
		p.parseDefinition(start)
	case p.lex.is("extend") && (isWord || p.peekIs(".")):
		p.parseExtend()
	case p.lex.is("oneof") && isWord:
		p.next()
		name := p.word()
		p.named(name, start)
		p.nested("", p.parseMember) // its fields belong to the message
	case p.lex.is("option") && (isWord || p.peekIs("(")):
		p.parseOption()
	case p.lex.is("reserved") && !p.peekIs("."):
		p.skipStatement()
	case p.lex.is("extensions") && second == tokenNumber:
		p.parseExtensionRange()
	default:
		p.parseField(start, "")
	}
}

func (p *declareParser) peek() tokenKind {
	l := p.lex
	return l.next()
}

func (p *declareParser) peekIs(s string) bool {
	l := p.lex
	l.next()
	return l.is(s)
}

func (p *declareParser) peekIsDefinition() bool {
	l := p.lex
	l.next()
	if !l.is("message") && !l.is("enum") {
		return false
	}
	return l.next() == tokenWord
}

// parseField reads `[label] type name = number [options];`, a map or a group.
// An extendee makes it a declaration of its own.
func (p *declareParser) parseField(start int, extendee string) {
	if extendee != "" {
		p.enter(declExtension, start)
		p.ref(extendee)
	}
	if p.lex.is("optional") || p.lex.is("required") || p.lex.is("repeated") {
		end := p.lex.end
		p.next()
		if p.lex.start == end { // optional.Foo: not a label, to some
			p.file.odd = true
		}
	}
	isGroup := false
	switch {
	case p.lex.is("map") && p.peekIs("<"):
		p.next()
		p.next()
		p.ref(p.typeName())
		p.expect(",")
		p.ref(p.typeName())
		p.expect(">")
	case p.lex.is("group") && p.peek() == tokenWord:
		p.next()
		isGroup = true
	default:
		p.ref(p.typeName())
	}
	groupStart := p.lex.start
	name := p.word()
	if isGroup {
		p.named(strings.ToLower(name), start)
		p.ref(name)
	} else {
		p.named(name, start)
	}
	if extendee != "" {
		p.file.decls[p.open[len(p.open)-1].index].name = p.join(strings.ToLower(name))
		if !isGroup {
			p.file.decls[p.open[len(p.open)-1].index].name = p.join(name)
		}
	}
	if p.lex.is("=") {
		p.next()
		if p.lex.is("-") { // for the compiler to refuse
			p.next()
		}
		p.next()
	}
	if p.lex.is("[") {
		p.parseBracketOptions()
	}
	if isGroup && p.lex.is("{") {
		index := p.enter(declMessage, groupStart)
		p.file.decls[index].group = true
		p.messageBody(index, name, groupStart)
		p.leaveBehind()
	} else {
		p.expect(";")
	}
	if extendee != "" {
		p.leaveBehind()
	}
}

// parseExtend makes each field a declaration; the block itself is none.
func (p *declareParser) parseExtend() {
	start := p.lex.start
	p.next()
	declared := len(p.file.decls)
	extendee := p.typeName()
	p.nested("", func() {
		if p.lex.is("option") && (p.peekIs("(") || p.peek() == tokenWord) && !p.peekIs(".") {
			p.skipStatement() // for the compiler to refuse
			return
		}
		p.parseField(p.lex.start, extendee)
	})
	if len(p.file.decls) == declared { // of no meaning, and refused by protoc
		p.file.odd = true
	}
	p.file.extends = append(p.file.extends, span{start, p.lex.start})
}

func (p *declareParser) parseExtensionRange() {
	if n := len(p.open); n > 0 {
		p.file.decls[p.open[n-1].index].extendable = true
	}
	for !p.isEnd() && !p.lex.is(";") {
		if p.lex.is("[") {
			p.parseBracketOptions()
			continue
		}
		p.next()
	}
	p.expect(";")
}

func (p *declareParser) parseEnum(start int) {
	index := p.enter(declEnum, start)
	p.next()
	name := p.word()
	p.file.decls[index].name = p.join(name)
	p.named(name, start)
	p.nested("", func() { // values belong to the scope around the enum
		valueStart := p.lex.start
		switch {
		case p.lex.is("option") && !p.peekIs("="):
			p.parseOption()
		case p.lex.is("reserved") && !p.peekIs("="):
			p.skipStatement()
		default:
			value := p.word()
			p.named(value, valueStart)
			p.expect("=")
			if p.lex.is("-") {
				p.next()
			}
			p.next()
			if p.lex.is("[") {
				p.parseBracketOptions()
			}
			p.expect(";")
		}
	})
	p.leaveBehind()
}

func (p *declareParser) parseService(start int) {
	index := p.enter(declService, start)
	p.next()
	name := p.word()
	p.file.decls[index].name = p.join(name)
	p.named(name, start)
	p.nested(name, func() {
		switch {
		case p.lex.is("rpc"):
			p.parseMethod()
		case p.lex.is("option"):
			p.parseOption()
		default:
			p.fail()
		}
	})
	p.leaveBehind()
}

func (p *declareParser) parseMethod() {
	start := p.lex.start
	index := p.enter(declMethod, start)
	p.next()
	name := p.word()
	p.file.decls[index].name = p.join(name)
	p.named(name, start)
	p.file.decls[index].clientStream = p.methodType()
	p.expect("returns")
	p.file.decls[index].serverStream = p.methodType()
	if p.lex.is("{") {
		p.nested("", p.parseOption)
	} else {
		p.expect(";")
	}
	p.leaveBehind()
}

func (p *declareParser) methodType() (isStream bool) {
	p.expect("(")
	if p.lex.is("stream") && !p.peekIs(")") {
		if p.peekIs(".") { // `stream .a.B` or the type stream.B: compilers disagree
			p.file.odd = true
		}
		isStream = true
		p.next()
	}
	p.ref(p.typeName())
	p.expect(")")
	return isStream
}
