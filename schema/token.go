package schema

import (
	"bytes"
	"unicode/utf8"
)

// tokenKind is what a token of a .proto file is.
type tokenKind uint8

const (
	tokenEOF    tokenKind = iota
	tokenWord             // identifier or keyword
	tokenNumber           // digits and what a number may go on with
	tokenString           // one literal, quotes included
	tokenPunct            // one byte
	tokenBad              // a string or comment without an end, a control byte
)

// lexer splits a .proto file into tokens, without comments and layout and
// without allocating. It is lenient: it must split well what a compiler
// accepts, and need not refuse what a compiler refuses.
type lexer struct {
	text  []byte
	start int // of the current token
	end   int
	kind  tokenKind
}

const (
	charSpace = 1 << iota
	charWord  // letters, digits, _
	charDigit
)

var charClass = func() (t [256]uint8) {
	for _, c := range " \t\r\n\f\v" {
		t[c] = charSpace
	}
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9':
			t[c] = charWord | charDigit
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			t[c] = charWord
		}
	}
	return t
}()

var byteOrderMark = []byte("\xef\xbb\xbf")

// newLexer starts behind a byte order mark: offsets count from there.
func newLexer(text []byte) lexer {
	return lexer{text: bytes.TrimPrefix(text, byteOrderMark)}
}

// next moves to the next token and gives its kind.
func (l *lexer) next() tokenKind {
	i := l.skipBlank(l.end)
	if i < 0 {
		l.start, l.end, l.kind = len(l.text), len(l.text), tokenBad
		return tokenBad
	}
	l.start = i
	if i == len(l.text) {
		l.end, l.kind = i, tokenEOF
		return tokenEOF
	}
	c := l.text[i]
	switch class := charClass[c]; {
	case class&charDigit != 0, c == '.' && i+1 < len(l.text) && charClass[l.text[i+1]]&charDigit != 0:
		l.end, l.kind = l.numberEnd(i), tokenNumber
	case class&charWord != 0:
		i++
		for i < len(l.text) && charClass[l.text[i]]&charWord != 0 {
			i++
		}
		l.end, l.kind = i, tokenWord
	case c == '"' || c == '\'':
		l.end, l.kind = l.stringEnd(i), tokenString
		if l.end < 0 {
			l.end, l.kind = len(l.text), tokenBad
		}
	default:
		l.end, l.kind = i+1, tokenPunct
	}
	return l.kind
}

// skipBlank gives the place of the next token, -1 in a comment without end.
func (l *lexer) skipBlank(i int) int {
	for i < len(l.text) {
		c := l.text[i]
		switch {
		case charClass[c] == charSpace:
			i++
		case c == '/' && i+1 < len(l.text) && l.text[i+1] == '/':
			n := bytes.IndexByte(l.text[i:], '\n')
			if n < 0 {
				return len(l.text)
			}
			i += n + 1
		case c == '/' && i+1 < len(l.text) && l.text[i+1] == '*':
			n := bytes.Index(l.text[i+2:], []byte("*/"))
			if n < 0 {
				return -1
			}
			i += n + 4
		default:
			return i
		}
	}
	return i
}

func (l *lexer) numberEnd(i int) int {
	start := i
	for i++; i < len(l.text); i++ {
		c := l.text[i]
		sign := (c == '+' || c == '-') && (l.text[i-1] == 'e' || l.text[i-1] == 'E') && !isHex(l.text[start:i])
		if charClass[c]&charWord == 0 && c != '.' && !sign {
			break
		}
	}
	return i
}

func isHex(number []byte) bool {
	return len(number) > 1 && number[0] == '0' && (number[1] == 'x' || number[1] == 'X')
}

func (l *lexer) stringEnd(i int) int {
	quote := l.text[i]
	for i++; i < len(l.text); i++ {
		switch l.text[i] {
		case quote:
			return i + 1
		case '\\':
			i++
		case '\n':
			return -1
		}
	}
	return -1
}

func (l *lexer) token() []byte { return l.text[l.start:l.end] }

// is tells whether the token is this word or punctuation.
func (l *lexer) is(s string) bool { return string(l.text[l.start:l.end]) == s }

// lineCounter turns offsets into lines and columns, 1-based; columns count
// characters, as editors do. Ascending offsets cost one pass over the text.
type lineCounter struct {
	text   []byte
	line   int // of offset from
	from   int
	column int // characters between the line's start and from
}

func (c *lineCounter) position(offset int) (line, column int) {
	if offset < c.from || c.line == 0 {
		c.line, c.from, c.column = 1, 0, 0
	}
	passed := c.text[c.from:min(offset, len(c.text))]
	if n := bytes.LastIndexByte(passed, '\n'); n >= 0 {
		c.line += bytes.Count(passed, []byte("\n"))
		c.column, passed = 0, passed[n+1:]
	}
	c.column += utf8.RuneCount(passed)
	c.from = offset
	return c.line, c.column + 1
}

func linePosition(text []byte, offset int) (line, column int) {
	c := lineCounter{text: text}
	return c.position(offset)
}
