package schema

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skewgate/skewgate/problem"
)

// manifestCheck collects what is wrong with the values of a manifest whose
// keys and kinds are right.
type manifestCheck struct {
	places   problem.Places
	problems problem.List
}

func (c *manifestCheck) fail(hint, message string, path ...string) {
	c.problems = append(c.problems, c.places.At(message, hint, path...))
}

func (c *manifestCheck) err() error {
	slices.SortStableFunc(c.problems, func(a, b problem.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return c.problems.Err()
}

func (c *manifestCheck) head(raw manifestFile) {
	for _, row := range []struct{ key, got, want string }{
		{"apiVersion", raw.APIVersion, "skewgate/v1"}, {"kind", raw.Kind, "App"},
	} {
		if row.got != row.want {
			c.fail("write "+row.key+": "+row.want, fmt.Sprintf("%s is %q", row.key, row.got), row.key)
		}
	}
	switch {
	case raw.App == "":
		c.fail("write app: NAME, the name that its versions are known by", "app is missing", "app")
	case !isRegistryName(raw.App):
		c.fail("letters, digits and . _ - +", fmt.Sprintf("app %q is not a name", raw.App), "app")
	}
}

func (c *manifestCheck) word(got, unset string, known []string, path ...string) string {
	switch {
	case got == "":
		return unset
	case !slices.Contains(known, got):
		what := path[len(path)-1]
		if _, err := strconv.Atoi(what); err == nil { // an entry of a list
			what = path[len(path)-2]
		}
		c.fail(problem.Suggest(got, known), fmt.Sprintf("%s: %q is not known", what, got), path...)
	}
	return got
}

func (c *manifestCheck) roots(roots []string) []string {
	var clean []string
	for i, root := range roots {
		p, ok := cleanSlashPath(root)
		at := []string{"schema", "roots", strconv.Itoa(i)}
		switch {
		case !ok || root == "":
			c.fail("roots are relative to the manifest's directory", fmt.Sprintf("root %q is not a directory inside the input", root), at...)
			continue
		case slices.Contains(clean, path.Join(".", p)):
			c.fail("", fmt.Sprintf("root %q is given twice", root), at...)
			continue
		}
		clean = append(clean, path.Join(".", p))
	}
	if len(clean) == 0 {
		return []string{"."}
	}
	return clean
}

func (c *manifestCheck) class(section, name string, class Class) Class {
	if !protoreflect.Name(name).IsValid() {
		c.fail("a letter, then letters, digits and _", fmt.Sprintf("class %q is not a name", name), section, name)
	}
	if len(class.Services)+len(class.State) == 0 && !class.Opaque {
		c.fail("write services: [PACKAGE.SERVICE]", fmt.Sprintf("class %s names no service", name), section, name)
	}
	c.names(class.Services, "service", section, name, "services")
	c.names(class.State, "message", section, name, "state")
	for i, e := range class.Encodings {
		c.word(e, "", Encodings, section, name, "encodings", strconv.Itoa(i))
	}
	if len(class.Encodings) == 0 {
		class.Encodings = []string{"binary"}
	}
	return class
}

// payloads checks the names of a class's payloads; whether there are such
// fields and types only the schemas know (CheckPayloads).
func (c *manifestCheck) payloads(section, class string, payloads map[string][]string) []Payload {
	var out []Payload
	for _, field := range slices.Sorted(maps.Keys(payloads)) {
		types, at := payloads[field], []string{section, class, "payloads", field}
		if name := protoreflect.FullName(field); !validName(field) || name.Parent() == "" {
			c.fail("with its message and package: shop.v1.Event.detail", fmt.Sprintf("%q is not a field's full name", field), at...)
		}
		if len(types) == 0 {
			c.fail("write "+field+": [PACKAGE.MESSAGE]", fmt.Sprintf("payloads of %s name no message", field), at...)
		}
		c.names(types, "message", at...)
		p := Payload{Field: field, Types: types, places: []problem.Problem{c.places.At("", "", at...)}}
		for i := range types {
			p.places = append(p.places, c.places.At("", "", slices.Concat(at, []string{strconv.Itoa(i)})...))
		}
		out = append(out, p)
	}
	return out
}

func (c *manifestCheck) names(names []string, kind string, path ...string) {
	for i, n := range names {
		at := slices.Concat(path, []string{strconv.Itoa(i)})
		switch {
		case !validName(n):
			c.fail("with its package, without a leading dot: shop.v1.Cart", fmt.Sprintf("%q is not a %s's full name", n, kind), at...)
		case slices.Contains(names[:i], n):
			c.fail("", fmt.Sprintf("%s %s is given twice", kind, n), at...)
		}
	}
}

func (c *manifestCheck) waiver(i int, w waiverFile) Waiver {
	at := []string{"compat", "waivers", strconv.Itoa(i)}
	for _, row := range []struct{ key, value, hint string }{
		{"rule", w.Rule, "the id that findings show, such as FIELD_REMOVED"},
		{"path", w.Path, "the full name that the finding shows"},
		{"reason", w.Reason, "say why this is safe, for whoever reads it next year"},
	} {
		if row.value == "" {
			c.fail(row.hint, "a waiver without "+row.key, at...)
		}
	}
	if w.Expires.IsZero() {
		c.fail("write expires: YYYY-MM-DD", "a waiver without expires", at...)
	}
	return Waiver{Rule: w.Rule, Path: w.Path, Reason: w.Reason, Expires: w.Expires.Time, Line: w.Line}
}
