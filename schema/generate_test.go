package schema

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// The generator makes schemas that are mostly valid and use names in every way
// that a compiler resolves: relative, absolute, nested, shadowed, through
// public imports.

type genFile struct {
	path, syntax, pkg string
	imports           []genImport
	messages          []*genMessage
	enums             []*genEnum
	extends           []*genField // extendee in owner
	services          []*genService
	feature           string
}

type genImport struct {
	path   string
	public bool
}

type genMessage struct {
	name     string
	full     string
	fields   []*genField
	messages []*genMessage
	enums    []*genEnum
	extends  []*genField
	ranges   bool
	note     string // an option that no rule reads
}

type genField struct {
	label, kind, name string
	number            int
	options           []string
	owner             string // extendee
	oneof             bool
	group             *genMessage
}

type genEnum struct {
	name, full string
	values     int
}

type genService struct {
	name    string
	methods []*genMethod
}

type genMethod struct {
	name, in, out string
	cs, ss        bool
	note          string
}

type generator struct {
	*rand.Rand
	files   []*genFile
	names   map[string]bool
	numbers int // of extensions
}

func generate(r *rand.Rand) *generator {
	g := &generator{Rand: r, names: map[string]bool{}}
	for i := range 2 + r.IntN(4) {
		f := &genFile{path: fmt.Sprintf("d%d/f%d.proto", i%2, i)}
		f.syntax = []string{`syntax = "proto2";`, `syntax = "proto3";`, `edition = "2023";`, `edition = "2024";`}[r.IntN(4)]
		f.pkg = []string{"a", "a.b", "a.b.c", "b", "", "a.c"}[r.IntN(6)]
		for j := range i {
			if r.IntN(2) == 0 {
				f.imports = append(f.imports, genImport{g.files[j].path, r.IntN(4) == 0})
			}
		}
		if strings.HasPrefix(f.syntax, "edition") && r.IntN(2) == 0 {
			f.feature = []string{"field_presence = IMPLICIT", "utf8_validation = NONE", "repeated_field_encoding = EXPANDED"}[r.IntN(3)]
		}
		g.files = append(g.files, f)
		for range 1 + r.IntN(3) {
			f.messages = append(f.messages, g.message(f, f.pkg, 0))
		}
		f.enums = append(f.enums, g.enum(f.pkg))
		for range r.IntN(3) {
			f.extends = append(f.extends, g.extension(f))
		}
	}
	for _, f := range g.files {
		for range r.IntN(3) {
			f.services = append(f.services, g.service(f))
		}
	}
	return g
}

func (g *generator) fresh(scope string, pool ...string) (name, full string) {
	for i := 0; ; i++ {
		name = pool[g.IntN(len(pool))]
		if i > 5 {
			name += fmt.Sprint(g.IntN(1000))
		}
		full = joinName(scope, name)
		if !g.names[full] {
			g.names[full] = true
			return name, full
		}
	}
}

func (g *generator) enum(scope string) *genEnum {
	e := &genEnum{values: 1 + g.IntN(3)}
	e.name, e.full = g.fresh(scope, "E", "K")
	return e
}

func (g *generator) message(f *genFile, scope string, depth int) *genMessage {
	m := &genMessage{}
	pool := []string{"M", "N", "O", "Inner"}
	if depth > 0 {
		pool = append(pool, "a", "b")
	}
	m.name, m.full = g.fresh(scope, pool...)
	m.ranges = f.syntax != `syntax = "proto3";` && g.IntN(2) == 0
	if g.IntN(3) == 0 {
		m.note = fmt.Sprintf("option (opts.note) = \"n%d\";", g.IntN(3))
	}
	for depth < 2 && g.IntN(2) == 0 {
		m.messages = append(m.messages, g.message(f, m.full, depth+1))
	}
	if g.IntN(3) == 0 {
		m.enums = append(m.enums, g.enum(m.full))
	}
	for i := range g.IntN(5) {
		m.fields = append(m.fields, g.field(f, m, i+1))
	}
	if g.IntN(4) == 0 {
		m.extends = append(m.extends, g.extension(f))
	}
	return m
}

func (g *generator) field(f *genFile, m *genMessage, number int) *genField {
	x := &genField{name: fmt.Sprintf("f%d", number), number: number, kind: g.kind(f, m.full)}
	switch {
	case f.syntax == `syntax = "proto2";` && g.IntN(6) == 0:
		x.label = "optional"
		x.group = &genMessage{name: fmt.Sprintf("G%d", number), full: fmt.Sprintf("%s.G%d", m.full, number)}
		x.group.fields = []*genField{{label: "optional", kind: g.kind(f, x.group.full), name: "g", number: 1}}
		if g.IntN(2) == 0 {
			x.group.messages = append(x.group.messages, &genMessage{name: "In", full: x.group.full + ".In"})
			x.group.fields = append(x.group.fields, &genField{label: "repeated", kind: "In", name: "h", number: 2})
		}
	case g.IntN(6) == 0:
		x.kind = fmt.Sprintf("map<string, %s>", x.kind)
	case g.IntN(5) == 0:
		x.oneof = true
	case g.IntN(3) == 0:
		x.label = "repeated"
	case f.syntax == `syntax = "proto2";`:
		x.label = "optional"
	}
	for _, o := range []string{"deprecated = true", "(opts.mark) = 7", `(buf.validate.field).string.min_len = 1`, "json_name = \"j" + fmt.Sprint(number) + "\""} {
		if g.IntN(6) == 0 {
			x.options = append(x.options, o)
		}
	}
	return x
}

func (g *generator) extension(f *genFile) *genField {
	x := &genField{label: "optional", kind: g.kind(f, f.pkg), number: 101 + g.numbers}
	g.numbers++
	x.name, _ = g.fresh(f.pkg, "x", "y", "z", "w")
	x.owner = "google.protobuf.MessageOptions"
	var owners []string
	for _, other := range g.visible(f) {
		for _, m := range other.messages {
			if m.ranges {
				owners = append(owners, "."+m.full)
			}
		}
	}
	if len(owners) > 0 {
		x.owner = owners[g.IntN(len(owners))]
	}
	if f.syntax != `syntax = "proto2";` {
		x.label = ""
		if f.syntax == `syntax = "proto3";` {
			x.label, x.owner = "optional", "google.protobuf.MessageOptions"
		}
	}
	if x.owner == "google.protobuf.MessageOptions" {
		x.number += 50000
	}
	return x
}

func (g *generator) visible(f *genFile) []*genFile {
	seen := map[string]*genFile{f.path: f}
	var show func(path string)
	show = func(path string) {
		for _, other := range g.files {
			if other.path == path && seen[path] == nil {
				seen[path] = other
				for _, imp := range other.imports {
					if imp.public {
						show(imp.path)
					}
				}
			}
		}
	}
	for _, imp := range f.imports {
		show(imp.path)
	}
	return slices.SortedFunc(maps.Values(seen), func(a, b *genFile) int { return strings.Compare(a.path, b.path) })
}

// kind picks a type and a way to write its name.
func (g *generator) kind(f *genFile, scope string) string {
	if g.IntN(3) == 0 {
		return []string{"string", "int32", "bytes", "bool", "google.protobuf.Timestamp"}[g.IntN(5)]
	}
	full := g.pick(f, true)
	if full == "" {
		return "string"
	}
	return g.write(full, scope)
}

// pick chooses a visible message, or an enum that f may use.
func (g *generator) pick(f *genFile, enums bool) string {
	var all []string
	for _, other := range g.visible(f) {
		enums := enums && (f.syntax == other.syntax)
		for _, m := range other.messages {
			all = append(all, m.everyName(enums)...)
		}
		for _, e := range other.enums {
			if enums {
				all = append(all, e.full)
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[g.IntN(len(all))]
}

func (g *generator) write(full, scope string) string {
	switch g.IntN(60) {
	default:
		return "." + full
	case 0:
		return full
	case 1:
		for ; scope != ""; scope = parentName(scope) {
			if rest, ok := strings.CutPrefix(full, scope+"."); ok {
				return rest
			}
		}
		return full
	}
}

func (m *genMessage) everyName(enums bool) []string {
	names := []string{m.full}
	for _, e := range m.enums {
		if enums {
			names = append(names, e.full)
		}
	}
	for _, n := range m.messages {
		names = append(names, n.everyName(enums)...)
	}
	return names
}

func (g *generator) messageName(f *genFile) string {
	if full := g.pick(f, false); full != "" {
		return g.write(full, f.pkg)
	}
	return "google.protobuf.Timestamp"
}

func (g *generator) service(f *genFile) *genService {
	s := &genService{}
	s.name, _ = g.fresh(f.pkg, "S", "T", "U")
	for i := range g.IntN(4) {
		s.methods = append(s.methods, &genMethod{name: fmt.Sprintf("R%d", i), in: g.messageName(f), out: g.messageName(f), cs: g.IntN(4) == 0, ss: g.IntN(4) == 0})
	}
	return s
}

// mutate changes one thing, which may be one that does not matter.
func (g *generator) mutate() {
	f := g.files[g.IntN(len(g.files))]
	m := f.messages[g.IntN(len(f.messages))]
	for len(m.messages) > 0 && g.IntN(2) == 0 {
		m = m.messages[g.IntN(len(m.messages))]
	}
	switch g.IntN(12) {
	case 0:
		m.fields = append(m.fields, g.field(f, m, len(m.fields)+1))
	case 1:
		if len(m.fields) > 0 {
			m.fields = m.fields[1:]
		}
	case 2:
		if len(m.fields) > 0 {
			m.fields[0] = g.field(f, m, m.fields[0].number)
		}
	case 3:
		m.note = fmt.Sprintf("option (opts.note) = \"m%d\";", g.IntN(9))
	case 4:
		m.messages = append(m.messages, g.message(f, m.full, 1)) // it may shadow
	case 5:
		f.messages = append(f.messages, g.message(f, f.pkg, 1))
	case 6:
		f.enums[0].values++
	case 7:
		f.extends = append(f.extends, g.extension(f))
	case 8:
		if len(f.services) > 0 {
			s := f.services[0]
			s.methods = append(s.methods, &genMethod{name: fmt.Sprintf("Q%d", g.IntN(1000)), in: g.messageName(f), out: g.messageName(f)})
		}
	case 9:
		if len(f.services) > 0 && len(f.services[0].methods) > 0 {
			f.services[0].methods = f.services[0].methods[1:]
		}
	case 10:
		f.services = append(f.services, g.service(f))
	case 11:
		if len(f.services) > 0 && len(f.services[0].methods) > 0 {
			f.services[0].methods[0].note = fmt.Sprintf("option (opts.rule) = %d;", g.IntN(5))
		}
	}
}

// sources writes the schema down; layout adds what does not count.
func (g *generator) sources(layout *rand.Rand) map[string]string {
	files := map[string]string{
		"opts/opts.proto": `syntax = "proto2"; package opts; import "google/protobuf/descriptor.proto";
extend google.protobuf.MessageOptions { optional string note = 60001; }
extend google.protobuf.FieldOptions { optional int32 mark = 60002; }
extend google.protobuf.MethodOptions { optional int32 rule = 60003; }`,
		"buf/validate/validate.proto": `syntax = "proto2"; package buf.validate; import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { optional FieldRules field = 1159; }
message FieldRules { oneof type { StringRules string = 14; } }
message StringRules { optional uint64 min_len = 2; extensions 1000 to max; }`,
	}
	for _, f := range g.files {
		w := &genWriter{layout: layout}
		w.line("%s", f.syntax)
		if f.pkg != "" {
			w.line("package %s;", f.pkg)
		}
		for _, imp := range f.imports {
			w.line("import %s\"%s\";", map[bool]string{true: "public "}[imp.public], imp.path)
		}
		w.line(`import "opts/opts.proto"; import "buf/validate/validate.proto"; import "google/protobuf/descriptor.proto"; import "google/protobuf/timestamp.proto";`)
		if f.feature != "" {
			w.line("option features.%s;", f.feature)
		}
		if f.syntax == `edition = "2024";` {
			w.line("option features.enforce_naming_style = STYLE_LEGACY; option features.default_symbol_visibility = EXPORT_ALL;")
		}
		w.line("option java_package = \"x\";")
		for _, e := range f.enums {
			w.enum(e)
		}
		for _, m := range f.messages {
			w.message(m)
		}
		for _, x := range f.extends {
			w.extend(x)
		}
		for _, s := range f.services {
			w.line("service %s {", s.name)
			for _, m := range s.methods {
				stream := map[bool]string{true: "stream "}
				w.line("rpc %s(%s%s) returns (%s%s) { %s }", m.name, stream[m.cs], m.in, stream[m.ss], m.out, m.note)
			}
			w.line("}")
		}
		files[f.path] = w.String()
	}
	return files
}

type genWriter struct {
	strings.Builder
	layout *rand.Rand
}

func (w *genWriter) line(format string, args ...any) {
	fmt.Fprintf(w, format, args...)
	if w.layout != nil {
		w.WriteString([]string{"\n", "\n\n", " // c; { \"\n", " /* } */\n", "\t"}[w.layout.IntN(5)])
		return
	}
	w.WriteString("\n")
}

func (w *genWriter) enum(e *genEnum) {
	w.line("enum %s {", e.name)
	for i := range e.values {
		w.line("%s_%d = %d;", strings.ReplaceAll(e.full, ".", "_"), i, i)
	}
	w.line("}")
}

func (w *genWriter) extend(x *genField) {
	w.line("extend %s {", x.owner)
	w.field(x)
	w.line("}")
}

func (w *genWriter) message(m *genMessage) {
	w.line("message %s {", m.name)
	w.body(m)
	w.line("}")
}

func (w *genWriter) body(m *genMessage) {
	if m.note != "" {
		w.line("%s", m.note)
	}
	for _, n := range m.messages {
		w.message(n)
	}
	for _, e := range m.enums {
		w.enum(e)
	}
	for _, x := range m.fields {
		if x.oneof {
			w.line("oneof o%d {", x.number)
		}
		w.field(x)
		if x.oneof {
			w.line("}")
		}
	}
	for _, x := range m.extends {
		w.extend(x)
	}
	if m.ranges {
		w.line("extensions 100 to 200;")
	}
}

func (w *genWriter) field(x *genField) {
	label := x.label
	if x.oneof {
		label = ""
	}
	if x.group != nil {
		w.line("%s group %s = %d {", label, x.group.name, x.number)
		w.body(x.group)
		w.line("}")
		return
	}
	options := ""
	if len(x.options) > 0 {
		options = " [" + strings.Join(x.options, ", ") + "]"
	}
	w.line("%s %s %s = %d%s;", label, x.kind, x.name, x.number, options)
}
