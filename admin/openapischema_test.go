package admin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// schemaBuilder makes JSON schemas of Go types, with the comments on their fields.
type schemaBuilder struct {
	t        *testing.T
	comments map[string]map[string]string // package path → "Type.Field" → comment
	defs     yaml.MapSlice
}

// field is one JSON field of a struct.
type field struct {
	name     string
	typ      reflect.Type
	optional bool
	comment  string
}

// ref refers to the schema of a type, which it makes when it is new.
func (s *schemaBuilder) ref(typ reflect.Type) yaml.MapSlice {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if fixed, ok := stringTypes[typ]; ok {
		return fixed
	}
	switch typ.Kind() {
	case reflect.Struct:
		name := s.name(typ)
		ref := yaml.MapSlice{{Key: "$ref", Value: "#/components/schemas/" + name}}
		for _, d := range s.defs {
			if d.Key == name {
				return ref
			}
		}
		at := len(s.defs)
		s.defs = append(s.defs, yaml.MapItem{Key: name}) // before its fields: types may refer to each other
		s.defs[at].Value = s.object(typ)
		return ref
	case reflect.Slice:
		return yaml.MapSlice{{Key: "type", Value: "array"}, {Key: "items", Value: s.ref(typ.Elem())}}
	case reflect.Map:
		return yaml.MapSlice{{Key: "type", Value: "object"}, {Key: "additionalProperties", Value: s.ref(typ.Elem())}}
	case reflect.Bool:
		return yaml.MapSlice{{Key: "type", Value: "boolean"}}
	case reflect.Int, reflect.Int64:
		return yaml.MapSlice{{Key: "type", Value: "integer"}, {Key: "format", Value: "int64"}}
	case reflect.Float64:
		return yaml.MapSlice{{Key: "type", Value: "number"}}
	case reflect.String:
		out := yaml.MapSlice{{Key: "type", Value: "string"}}
		if words, ok := enums[typ]; ok {
			out = append(out, yaml.MapItem{Key: "enum", Value: words})
		}
		return out
	}
	s.t.Fatalf("no schema for %s", typ)
	return nil
}

// name of a type in the document: its own, or for a list its kind.
func (s *schemaBuilder) name(typ reflect.Type) string {
	if k, ok := reflect.Zero(typ).Interface().(kinded); ok {
		return k.Kind()
	}
	pkg := typ.PkgPath()[strings.LastIndexByte(typ.PkgPath(), '/')+1:]
	if pkg == "admin" || pkg == "" {
		return typ.Name()
	}
	return strings.ToUpper(pkg[:1]) + pkg[1:] + typ.Name()
}

func (s *schemaBuilder) object(typ reflect.Type) yaml.MapSlice {
	var properties yaml.MapSlice
	var required []string
	for _, f := range s.fields(typ) {
		p := s.ref(f.typ)
		if f.comment != "" {
			p = append(yaml.MapSlice{{Key: "description", Value: f.comment}}, without(p, "description")...)
		}
		properties = append(properties, yaml.MapItem{Key: f.name, Value: p})
		if !f.optional {
			required = append(required, f.name)
		}
	}
	out := yaml.MapSlice{{Key: "type", Value: "object"}}
	if len(required) > 0 {
		out = append(out, yaml.MapItem{Key: "required", Value: required})
	}
	return append(out, yaml.MapItem{Key: "properties", Value: properties})
}

func without(m yaml.MapSlice, key string) yaml.MapSlice {
	var out yaml.MapSlice
	for _, i := range m {
		if i.Key != key {
			out = append(out, i)
		}
	}
	return out
}

// fields gives the JSON fields of a struct, those of embedded ones included.
func (s *schemaBuilder) fields(typ reflect.Type) []field {
	var out []field
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case f.Anonymous && tag == "":
			out = append(out, s.fields(inner)...)
		case !f.IsExported() || tag == "-":
		case tag == "":
			s.t.Errorf("%s.%s has no JSON name", typ, f.Name)
		default:
			optional := strings.Contains(options, "omit")
			comment := s.comment(typ, f.Name)
			out = append(out, field{tag, f.Type, optional, comment})
		}
	}
	return out
}

// comment gives what the source says of a field.
func (s *schemaBuilder) comment(typ reflect.Type, name string) string {
	pkg := typ.PkgPath()
	if s.comments[pkg] == nil {
		s.comments[pkg] = s.parse(pkg)
	}
	of, _, _ := strings.Cut(typ.Name(), "[")
	return s.comments[pkg][of+"."+name]
}

// parse reads the comments of a package of this module.
func (s *schemaBuilder) parse(pkg string) map[string]string {
	out := map[string]string{}
	dir := filepath.Join("..", strings.TrimPrefix(pkg, "github.com/skewgate/skewgate/"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			s.t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if x, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range x.Fields.List {
					for _, name := range f.Names {
						out[spec.Name.Name+"."+name.Name] = strings.TrimSpace(strings.ReplaceAll(f.Comment.Text()+f.Doc.Text(), "\n", " "))
					}
				}
			}
			return true
		})
	}
	return out
}
