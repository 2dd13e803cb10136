package problem

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a YAML file, far above what a person writes. The parser below us
// recurses, and a Go stack that overflows ends the process, so depth is
// bounded on the tokens, before parsing.
const (
	maxYAMLBytes = 1 << 20
	maxYAMLDepth = 64
	maxYAMLNodes = 100_000
)

// DecodeYAML decodes one YAML document into the struct that into points to,
// strictly: an unknown key, a key given twice and a value of the wrong kind
// are problems with line and column, all of them at once, and an unknown key's
// hint names the nearest known one. The error is a List or nil. An empty file
// leaves into as it is, and so does a key without a value.
//
// A struct's keys are its `yaml:"name"` tags (the field's name in lower case
// without one; "-" leaves a field out; ",inline" merges a struct's keys). An
// int field tagged `yaml:",line"` gets the line where its mapping starts.
// Beside Go's plain kinds, maps, slices and pointers a value may be a
// time.Duration ("15s"), an encoding.TextUnmarshaler, or have
// UnmarshalYAML(decode func(into any) error) error for keys of more than one
// form: decode may be tried with several types, and problems of the last one
// are kept by returning its error.
func DecodeYAML(file string, data []byte, into any) error {
	_, err := DecodeYAMLPlaces(file, data, into)
	return err
}

// DecodeYAMLPlaces is DecodeYAML for callers that judge the values afterwards:
// it also says where each key stands. Places are given even with an error.
func DecodeYAMLPlaces(file string, data []byte, into any) (Places, error) {
	places := Places{file: file, at: map[string]position{}}
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return places, fmt.Errorf("decode %s: into must be a pointer, not %T", file, into)
	}
	body, err := parseYAML(file, data)
	if err != nil || body == nil {
		return places, err
	}
	d := &yamlDecoder{file: file, places: places, anchors: map[string]ast.Node{}}
	d.value(body, v.Elem(), nil)
	return places, d.problems.Err()
}

// parseYAML gives the only document's body, nil when there is none.
func parseYAML(file string, data []byte) (body ast.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			body, err = nil, List{{File: file, Message: fmt.Sprintf("cannot be parsed as YAML: %v", r)}}
		}
	}()
	if len(data) > maxYAMLBytes {
		return nil, List{{File: file, Message: fmt.Sprintf("is %d bytes long; at most %d are read", len(data), maxYAMLBytes)}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if err := checkYAMLSource(file, data); err != nil {
		return nil, err
	}
	tokens := lexer.Tokenize(string(data))
	if t := tooDeep(tokens); t != nil {
		return nil, List{at(file, t, fmt.Sprintf("nested more than %d deep", maxYAMLDepth), "")}
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, List{syntaxProblem(file, err)}
	}
	for _, doc := range parsed.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			return nil, List{at(file, doc.Body.GetToken(), "a second YAML document; one is read", "keep one document, without ---")}
		}
		body = doc.Body
	}
	return body, nil
}

func syntaxProblem(file string, err error) Problem {
	var se *yaml.SyntaxError
	if errors.As(err, &se) {
		return at(file, se.GetToken(), se.GetMessage(), "")
	}
	return Problem{File: file, Message: err.Error()}
}

// checkYAMLSource refuses what a lexer should never see: a tab that indents
// (YAML forbids it, and words for it are worth having), NUL bytes, and lines
// that open more levels than a file may have.
func checkYAMLSource(file string, data []byte) error {
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if i := bytes.IndexByte(text, 0); i >= 0 {
			return List{{File: file, Line: line, Column: i + 1, Message: "a NUL byte: this is not a text file"}}
		}
		indent := len(text) - len(bytes.TrimLeft(text, " \t"))
		if tab := bytes.IndexByte(text[:indent], '\t'); tab >= 0 && len(bytes.TrimSpace(text)) > 0 {
			return List{{File: file, Line: line, Column: tab + 1, Message: "a tab in the indentation", Hint: "indent with spaces"}}
		}
		if indent > 8*maxYAMLDepth {
			return List{{File: file, Line: line, Message: fmt.Sprintf("indented by %d spaces", indent)}}
		}
	}
	return nil
}

// tooDeep finds the token at which nesting passes the bound. Block levels are
// judged by their column in checkYAMLSource; what remains are flow levels and
// entries that open on one line ("- - - x").
func tooDeep(tokens token.Tokens) *token.Token {
	flow, line, onLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			if flow <= 0 {
				onLine++
			}
		case token.MappingValueType:
			if flow > 0 {
				continue
			}
			onLine++
		default:
			continue
		}
		if flow > maxYAMLDepth || onLine > maxYAMLDepth {
			return t
		}
	}
	return nil
}

func at(file string, t *token.Token, message, hint string) Problem {
	p := Problem{File: file, Message: message, Hint: hint}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}
