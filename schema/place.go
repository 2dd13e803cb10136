package schema

import (
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// sourcePlacer finds declarations by scanning their file again, once for each
// file that is asked about. Few are: only what is reported.
type sourcePlacer struct {
	display func(importPath string) string
	read    func(importPath string) ([]byte, error)

	mu    sync.Mutex
	files map[string]map[string]Place // import path → full name → place
}

func newSourcePlacer(s *side) *sourcePlacer {
	return &sourcePlacer{display: s.display, read: s.reread, files: map[string]map[string]Place{}}
}

func (p *sourcePlacer) place(d protoreflect.Descriptor) Place {
	file := d.ParentFile()
	if file == nil {
		return Place{}
	}
	if m, ok := d.(protoreflect.MessageDescriptor); ok && m.IsMapEntry() {
		if field := mapFieldOf(m); field != nil {
			d = field
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	places, ok := p.files[file.Path()]
	if !ok {
		places = p.scan(file.Path())
		p.files[file.Path()] = places
	}
	at, ok := places[string(d.FullName())]
	if !ok {
		return Place{File: p.display(file.Path())}
	}
	return at
}

// mapFieldOf finds the map that an entry message was made for.
func mapFieldOf(entry protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	parent, ok := entry.Parent().(protoreflect.MessageDescriptor)
	if !ok {
		return nil
	}
	for i := range parent.Fields().Len() {
		if f := parent.Fields().Get(i); f.IsMap() && f.Message() == entry {
			return f
		}
	}
	return nil
}

func (p *sourcePlacer) scan(importPath string) map[string]Place {
	places := map[string]Place{}
	text, err := p.read(importPath)
	if err != nil {
		return places
	}
	file := p.display(importPath)
	at := lineCounter{text: text, line: 1}
	parser := declareParser{lex: newLexer(text), file: &fileDecls{}, strings: newInterner()}
	parser.visit = func(name string, start int) {
		line, column := at.position(start)
		if _, twice := places[name]; !twice {
			places[name] = Place{File: file, Line: line, Column: column}
		}
	}
	parser.next()
	parser.parseFile()
	return places
}
