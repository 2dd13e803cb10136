package problem

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

type yamlUnmarshaler interface {
	UnmarshalYAML(decode func(into any) error) error
}

var durationType = reflect.TypeFor[time.Duration]()

// yamlDecoder walks the tree of one file; problems collect, decoding goes on.
type yamlDecoder struct {
	file     string
	places   Places
	anchors  map[string]ast.Node
	problems List
	nodes    int // visited, aliases included: their bombs end here
	depth    int
}

func (d *yamlDecoder) fail(n ast.Node, hint, format string, args ...any) {
	d.problems = append(d.problems, at(d.file, firstToken(n), fmt.Sprintf(format, args...), hint))
}

func (d *yamlDecoder) value(n ast.Node, v reflect.Value, path []string) {
	d.nodes++
	if d.nodes > maxYAMLNodes || d.depth > 2*maxYAMLDepth {
		if d.nodes <= maxYAMLNodes+1 {
			d.nodes = maxYAMLNodes + 2 // say it once
			d.fail(n, "", "too large or too deep, aliases expanded")
		}
		return
	}
	d.depth++
	defer func() { d.depth-- }()
	n = d.resolve(n)
	if n == nil || n.Type() == ast.NullType {
		return
	}
	if d.custom(n, v, path) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.sequence(n, v, path)
	default:
		d.scalar(n, v)
	}
}

// resolve unwraps anchors and tags and follows aliases.
func (d *yamlDecoder) resolve(n ast.Node) ast.Node {
	for range maxYAMLDepth {
		switch x := n.(type) {
		case *ast.AnchorNode:
			d.anchors[x.Name.GetToken().Value] = x.Value
			n = x.Value
		case *ast.AliasNode:
			target, ok := d.anchors[x.Value.GetToken().Value]
			if !ok {
				d.fail(n, "", "alias *%s has no anchor before it", x.Value.GetToken().Value)
				return nil
			}
			n = target
		case *ast.TagNode:
			if x.Start != nil && !strings.HasPrefix(x.Start.Value, "!!") {
				d.fail(n, "", "tag %s is not known", x.Start.Value)
				return nil
			}
			n = x.Value
		default:
			return n
		}
	}
	d.fail(n, "", "anchors nested too deep")
	return nil
}

// custom lets a type decode itself.
func (d *yamlDecoder) custom(n ast.Node, v reflect.Value, path []string) bool {
	if v.Kind() == reflect.Pointer || !v.CanAddr() {
		return false
	}
	switch u := v.Addr().Interface().(type) {
	case yamlUnmarshaler:
		err := u.UnmarshalYAML(func(into any) error {
			inner := *d
			inner.problems = nil
			inner.value(n, reflect.ValueOf(into).Elem(), path)
			d.nodes = inner.nodes
			return inner.problems.Err()
		})
		d.failed(n, err)
		return true
	case encoding.TextUnmarshaler:
		text, ok := scalarText(n)
		if !ok {
			d.fail(n, "", "want a single value, not %s", kindWords(n))
			return true
		}
		d.failed(n, u.UnmarshalText([]byte(text)))
		return true
	}
	return false
}

func (d *yamlDecoder) failed(n ast.Node, err error) {
	var list List
	switch {
	case err == nil:
	case errors.As(err, &list):
		d.problems = append(d.problems, list...)
	default:
		d.fail(n, "", "%s", err)
	}
}

// pairs gives a mapping's entries, reporting keys that are no plain text and
// keys given twice.
func (d *yamlDecoder) pairs(n ast.Node, path []string) []*ast.MappingValueNode {
	var values []*ast.MappingValueNode
	switch x := n.(type) {
	case *ast.MappingNode:
		values = x.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{x}
	default:
		d.fail(n, "", "want keys and values, not %s", kindWords(n))
		return nil
	}
	seen := map[string]int{}
	var good []*ast.MappingValueNode
	for _, kv := range values {
		key, ok := keyText(kv)
		line := kv.Key.GetToken().Position.Line
		switch first := seen[key]; {
		case !ok:
			d.fail(kv.Key, "write the keys out", "only plain text may be a key here")
		case first > 0:
			d.fail(kv.Key, fmt.Sprintf("it stands at line %d already", first), "key %q is given twice", key)
		default:
			seen[key] = line
			pos := kv.Key.GetToken().Position
			d.places.at[placeKey(append(path[:len(path):len(path)], key))] = position{pos.Line, pos.Column}
			good = append(good, kv)
		}
	}
	return good
}

func keyText(kv *ast.MappingValueNode) (string, bool) {
	switch kv.Key.Type() {
	case ast.StringType, ast.IntegerType, ast.FloatType, ast.BoolType:
		return kv.Key.GetToken().Value, true
	}
	return "", false
}

func (d *yamlDecoder) structure(n ast.Node, v reflect.Value, path []string) {
	fields := map[string]reflect.Value{}
	structFields(v, fields, func(line reflect.Value) {
		line.SetInt(int64(firstToken(n).Position.Line))
	})
	for _, kv := range d.pairs(n, path) {
		key, _ := keyText(kv)
		field, ok := fields[key]
		if !ok {
			d.fail(kv.Key, Suggest(key, slices.Collect(maps.Keys(fields))), "unknown key %q%s", key, under(path))
			continue
		}
		d.value(kv.Value, field, append(path[:len(path):len(path)], key))
	}
}

func under(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return " in " + strings.Join(path, ".")
}

// firstToken is where a node starts; a block mapping's own token is its colon.
func firstToken(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0]
	}
	if kv, ok := n.(*ast.MappingValueNode); ok {
		n = kv.Key
	}
	return n.GetToken()
}

func structFields(v reflect.Value, into map[string]reflect.Value, line func(reflect.Value)) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || (!f.IsExported() && !f.Anonymous):
		case option == "line":
			line(v.Field(i))
		case option == "inline":
			structFields(v.Field(i), into, line)
		case name == "":
			into[strings.ToLower(f.Name)] = v.Field(i)
		default:
			into[name] = v.Field(i)
		}
	}
}

func (d *yamlDecoder) mapping(n ast.Node, v reflect.Value, path []string) {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		d.fail(n, "", "cannot be read into %s", t)
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(t))
	}
	for _, kv := range d.pairs(n, path) {
		key, _ := keyText(kv)
		elem := reflect.New(t.Elem()).Elem()
		d.value(kv.Value, elem, append(path[:len(path):len(path)], key))
		v.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), elem)
	}
}

func (d *yamlDecoder) sequence(n ast.Node, v reflect.Value, path []string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(n, "write it as [a, b] or as lines that start with -", "want a list, not %s", kindWords(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		sub := slices.Concat(path, []string{strconv.Itoa(i)})
		if t := firstToken(item); t != nil && t.Position != nil {
			d.places.at[placeKey(sub)] = position{t.Position.Line, t.Position.Column}
		}
		d.value(item, out.Index(i), sub)
	}
	v.Set(out)
}

func (d *yamlDecoder) scalar(n ast.Node, v reflect.Value) {
	text, ok := scalarText(n)
	if !ok {
		d.fail(n, "", "want %s, not %s", wantWords(v.Type()), kindWords(n))
		return
	}
	isText := n.Type() == ast.StringType || n.Type() == ast.LiteralType
	wrong := func() { d.fail(n, "", "want %s, not %q", wantWords(v.Type()), text) }
	switch k := v.Kind(); {
	case v.Type() == durationType:
		dur, err := time.ParseDuration(text)
		if err != nil {
			wrong()
			return
		}
		v.SetInt(int64(dur))
	case k == reflect.String:
		if n.Type() == ast.BoolType {
			d.fail(n, fmt.Sprintf("write %q, with the quotes, if the text is meant", text), "want text, not %s", kindWords(n))
			return
		}
		v.SetString(text)
	case k == reflect.Bool:
		if n.Type() != ast.BoolType {
			wrong()
			return
		}
		v.SetBool(strings.EqualFold(text, "true"))
	case isText:
		wrong()
	default:
		d.number(n, v, text, wrong)
	}
}

func (d *yamlDecoder) number(n ast.Node, v reflect.Value, text string, wrong func()) {
	text = strings.ReplaceAll(text, "_", "")
	switch {
	case v.CanInt():
		i, err := strconv.ParseInt(text, 0, v.Type().Bits())
		if err != nil {
			wrong()
			return
		}
		v.SetInt(i)
	case v.CanUint():
		u, err := strconv.ParseUint(text, 0, v.Type().Bits())
		if err != nil {
			wrong()
			return
		}
		v.SetUint(u)
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			wrong()
			return
		}
		v.SetFloat(f)
	default:
		d.fail(n, "", "cannot be read into %s", v.Type())
	}
}

// scalarText is the text of a single value as it was written.
func scalarText(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func wantWords(t reflect.Type) string {
	switch k := t.Kind(); {
	case t == durationType:
		return "a duration such as 15s"
	case k == reflect.String:
		return "text"
	case k == reflect.Bool:
		return "true or false"
	case k >= reflect.Int && k <= reflect.Int64:
		return "a whole number"
	case k >= reflect.Uint && k <= reflect.Uint64:
		return "a whole number, 0 or more"
	case k == reflect.Float32 || k == reflect.Float64:
		return "a number"
	}
	return t.String()
}

func kindWords(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "keys and values"
	case ast.SequenceType:
		return "a list"
	case ast.BoolType:
		return "true or false"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "a number"
	case ast.StringType, ast.LiteralType:
		return "text"
	}
	return strings.ToLower(n.Type().String())
}
