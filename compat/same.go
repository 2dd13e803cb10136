package compat

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// sameScalar says that two values of possibly different kinds mean the same.
func sameScalar(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, rv protoreflect.Value) bool {
	wt, rt := isText(wf.Kind()), isText(rf.Kind())
	switch {
	case wt && rt:
		return bytes.Equal(textBytes(wv), textBytes(rv))
	case wt:
		return sameText(string(textBytes(wv)), rf, rv)
	case rt:
		return sameText(string(textBytes(rv)), wf, wv)
	}
	a, b := numberOf(wv), numberOf(rv)
	if wf.Kind() == protoreflect.FloatKind && rf.Kind() == protoreflect.DoubleKind {
		return sameFloat(wv.Float(), float64(float32(rv.Float()))) // JSON writes the shortest text of the narrow one
	}
	if isFloat(wf.Kind()) && isFloat(rf.Kind()) {
		return sameFloat(wv.Float(), rv.Float())
	}
	return a != nil && b != nil && a.Cmp(b) == 0
}

// sameWrapped compares a message with a value that is none. Bytes hold a
// message whole; a wrapper is what it wraps.
func sameWrapped(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, rv protoreflect.Value) bool {
	message, m, other, v := wf, wv, rf, rv
	if !isMessage(wf) {
		message, m, other, v = rf, rv, wf, wv
	}
	if !wrapperKinds[message.Message().FullName()] {
		return isMessage(wf) && rf.Kind() == protoreflect.BytesKind
	}
	value := message.Message().Fields().ByNumber(1)
	inner := m.Message().Get(value)
	if isZero(inner) && isZero(v) {
		return true
	}
	return isText(value.Kind()) && isText(other.Kind()) && bytes.Equal(textBytes(inner), textBytes(v))
}

func sameFloat(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func textBytes(v protoreflect.Value) []byte {
	if s, ok := v.Interface().(string); ok {
		return []byte(s)
	}
	return v.Bytes()
}

// sameText compares a JSON string with the number, bool or enum it became or
// came from.
func sameText(text string, fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	switch fd.Kind() {
	case protoreflect.EnumKind:
		ev := fd.Enum().Values().ByName(protoreflect.Name(text))
		return ev != nil && ev.Number() == v.Enum()
	case protoreflect.BoolKind:
		return text == strconv.FormatBool(v.Bool())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		bits := 64
		if fd.Kind() == protoreflect.FloatKind {
			bits = 32
		}
		f, err := strconv.ParseFloat(text, bits)
		return err == nil && sameFloat(f, v.Float())
	default:
		r, ok := parseNumber(text)
		n := numberOf(v)
		return ok && n != nil && r.Cmp(n) == 0
	}
}

// parseNumber reads a decimal of bounded size: big.Rat would build 1e999999999.
func parseNumber(text string) (*big.Rat, bool) {
	if len(text) == 0 || len(text) > 64 || strings.ContainsAny(text, "/_xXoObBpP") {
		return nil, false
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e > 400 || e < -400 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(text)
}

// numberOf is the number a value stands for; nil for NaN and infinities.
func numberOf(v protoreflect.Value) *big.Rat {
	switch x := v.Interface().(type) {
	case bool:
		if x {
			return big.NewRat(1, 1)
		}
		return new(big.Rat)
	case protoreflect.EnumNumber:
		return new(big.Rat).SetInt64(int64(x))
	case int32:
		return new(big.Rat).SetInt64(int64(x))
	case int64:
		return new(big.Rat).SetInt64(x)
	case uint32:
		return new(big.Rat).SetUint64(uint64(x))
	case uint64:
		return new(big.Rat).SetUint64(x)
	case float32:
		return new(big.Rat).SetFloat64(float64(x))
	case float64:
		return new(big.Rat).SetFloat64(x)
	default:
		return nil
	}
}

// sameEnum gives the effect of reading number rn of enum re where number wn of
// enum we was written; "" is none. Names decide: a number whose names are
// disjoint is another value if either name lives on elsewhere, else a rename.
func (u *universe) sameEnum(we protoreflect.EnumDescriptor, wn protoreflect.EnumNumber, re protoreflect.EnumDescriptor, rn protoreflect.EnumNumber) Effect {
	written, read := u.enumNames(we, wn), u.enumNames(re, rn)
	if len(written)+len(read) < 8 {
		return compareNames(written, read, we, wn, re, rn)
	}
	key := enumNumbers{we, re, wn, rn} // thousands of aliases are compared once
	if e, ok := u.enumEffects.Load(key); ok {
		return e.(Effect)
	}
	e := compareNames(written, read, we, wn, re, rn)
	u.enumEffects.Store(key, e)
	return e
}

// enumNumbers is a number written as one enum and read as another.
type enumNumbers struct {
	w, r   protoreflect.EnumDescriptor
	wn, rn protoreflect.EnumNumber
}

func compareNames(written, read []protoreflect.Name, we protoreflect.EnumDescriptor, wn protoreflect.EnumNumber, re protoreflect.EnumDescriptor, rn protoreflect.EnumNumber) Effect {
	switch {
	case len(written) == 0 && wn == rn:
		return ""
	case len(written) == 0:
		return Value
	case slices.ContainsFunc(written, func(n protoreflect.Name) bool { v := re.Values().ByName(n); return v != nil && v.Number() == rn }):
		return ""
	case hasName(re, written):
		return Value
	case len(read) == 0 && wn == rn:
		return Semantic
	case hasName(we, read) || wn != rn:
		return Value
	default:
		return ""
	}
}

// enumNames lists the names of a number by declaration.
func (u *universe) enumNames(ed protoreflect.EnumDescriptor, n protoreflect.EnumNumber) []protoreflect.Name {
	if index, ok := u.enumIndex.Load(ed); ok {
		return index.(map[protoreflect.EnumNumber][]protoreflect.Name)[n]
	}
	index := make(map[protoreflect.EnumNumber][]protoreflect.Name, ed.Values().Len())
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		index[v.Number()] = append(index[v.Number()], v.Name())
	}
	u.enumIndex.Store(ed, index)
	return index[n]
}

func hasName(ed protoreflect.EnumDescriptor, names []protoreflect.Name) bool {
	return slices.ContainsFunc(names, func(n protoreflect.Name) bool { return ed.Values().ByName(n) != nil })
}

// sameDefault says that an unset field reads as the same value on both sides.
// Kinds too different to compare are the business of the rule for the kind.
func (u *universe) sameDefault(wf, rf protoreflect.FieldDescriptor) bool {
	wk, rk := wf.Kind(), rf.Kind()
	switch {
	case wk == protoreflect.EnumKind && rk == protoreflect.EnumKind:
		return u.sameEnum(wf.Enum(), wf.Default().Enum(), rf.Enum(), rf.Default().Enum()) == ""
	case isText(wk) != isText(rk):
		return true
	default:
		return sameScalar(wf, wf.Default(), rf, rf.Default())
	}
}

func isZero(v protoreflect.Value) bool {
	switch x := v.Interface().(type) {
	case string:
		return x == ""
	case []byte:
		return len(x) == 0
	case float32:
		return math.Float32bits(x) == 0
	case float64:
		return math.Float64bits(x) == 0
	default:
		n := numberOf(v)
		return n != nil && n.Sign() == 0
	}
}

// elements lists the values of a field: of a map its entries as messages.
func elements(fd protoreflect.FieldDescriptor, v protoreflect.Value) []protoreflect.Value {
	switch shapeOf(fd) {
	case list:
		out := make([]protoreflect.Value, v.List().Len())
		for i := range out {
			out[i] = v.List().Get(i)
		}
		return out
	case mapping:
		var out []protoreflect.Value
		for _, k := range sortedKeys(v.Map()) {
			entry := dynamicpb.NewMessage(fd.Message())
			entry.Set(fd.MapKey(), k.Value())
			entry.Set(fd.MapValue(), v.Map().Get(k))
			out = append(out, protoreflect.ValueOfMessage(entry))
		}
		return out
	default:
		return []protoreflect.Value{v}
	}
}

func sortedKeys(m protoreflect.Map) []protoreflect.MapKey {
	var keys []protoreflect.MapKey
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// findKey finds the reader's key that means the same as the writer's.
func findKey(wf protoreflect.FieldDescriptor, k protoreflect.MapKey, rf protoreflect.FieldDescriptor, read protoreflect.Map) (protoreflect.MapKey, bool) {
	if wf.MapKey().Kind() == rf.MapKey().Kind() {
		return k, read.Has(k)
	}
	for _, rk := range sortedKeys(read) {
		if sameScalar(wf.MapKey(), k.Value(), rf.MapKey(), rk.Value()) {
			return rk, true
		}
	}
	return protoreflect.MapKey{}, false
}

// jsonSpecials are the well-known types whose JSON is not an object of their fields.
var jsonSpecials = map[protoreflect.FullName]bool{
	"google.protobuf.Any": true, "google.protobuf.Timestamp": true, "google.protobuf.Duration": true,
	"google.protobuf.BoolValue": true, "google.protobuf.Int32Value": true, "google.protobuf.Int64Value": true,
	"google.protobuf.UInt32Value": true, "google.protobuf.UInt64Value": true, "google.protobuf.FloatValue": true,
	"google.protobuf.DoubleValue": true, "google.protobuf.StringValue": true, "google.protobuf.BytesValue": true,
	"google.protobuf.Struct": true, "google.protobuf.ListValue": true, "google.protobuf.Value": true,
	"google.protobuf.FieldMask": true,
}

func isJSONSpecial(md protoreflect.MessageDescriptor) bool {
	return md != nil && jsonSpecials[md.FullName()]
}

// elementOf is the field that describes one value: of a map its values.
func elementOf(fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if fd.IsMap() {
		return fd.MapValue()
	}
	return fd
}

// specialPair says that two fields have JSON forms that only running them can
// compare: one is a well-known type with a form of its own, the other is not
// the same type.
func specialPair(wf, rf protoreflect.FieldDescriptor) bool {
	we, re := elementOf(wf), elementOf(rf)
	wn, rn := isNull(we), isNull(re)
	if wn != rn {
		return true
	}
	if shapeOf(wf) == mapping && shapeOf(rf) == single && isMessage(rf) || shapeOf(rf) == mapping && shapeOf(wf) == single && isMessage(wf) {
		return true // both are objects
	}
	if !isJSONSpecial(we.Message()) && !isJSONSpecial(re.Message()) {
		return false
	}
	if shapeOf(wf) != shapeOf(rf) {
		return true
	}
	return we.Message() == nil || re.Message() == nil || we.Message().FullName() != re.Message().FullName()
}

// opaquePair says that what two fields hold has no parts that correspond: one
// is a map and the other is not, or one is a well-known type and the other is
// not that type.
func opaquePair(wf, rf protoreflect.FieldDescriptor) bool {
	if wf.IsMap() != rf.IsMap() {
		return true
	}
	switch familyOf(elementOf(wf), elementOf(rf)) {
	case anyMessage, structMessage, wrapperScalar, wellKnown:
		return true
	default:
		return false
	}
}

// isNull says that fd is written as null.
func isNull(fd protoreflect.FieldDescriptor) bool {
	return fd.Enum() != nil && fd.Enum().FullName() == "google.protobuf.NullValue"
}

// special compares the JSON forms of a field on both sides.
func (o *observer) special(wf protoreflect.FieldDescriptor, wv protoreflect.Value, rf protoreflect.FieldDescriptor, r protoreflect.Message) {
	rm := r.Descriptor()
	wrote, werr := jsonForm(o.writer, wf, wv)
	if !r.Has(rf) {
		switch {
		case !rf.HasPresence() && isZeroForm(wrote):
			o.add(Presence, wf, rm, show(wf, wv), string(rf.Name())+" unset")
		default:
			o.add(Loss, wf, rm, show(wf, wv), string(rf.Name())+" unset")
		}
		return
	}
	reads, rerr := jsonForm(o.reader, rf, r.Get(rf))
	if werr != nil || rerr != nil || !reflect.DeepEqual(wrote, reads) {
		o.add(Value, wf, rm, show(wf, wv), show(rf, r.Get(rf)))
	}
}

// jsonForm is a field's value as a normalised JSON document.
func jsonForm(u *universe, fd protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	m := dynamicpb.NewMessage(fd.ContainingMessage())
	m.Set(fd, v)
	b, err := protojson.MarshalOptions{Resolver: u, AllowPartial: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("marshal %s: %w", fd.FullName(), err)
	}
	var doc map[string]any
	d := stdjson.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("parse %s: %w", fd.FullName(), err)
	}
	for _, form := range doc {
		return normalForm(form), nil
	}
	return nil, nil
}

// normalForm makes "5" and 5 and 5.0 one.
func normalForm(doc any) any {
	switch x := doc.(type) {
	case stdjson.Number:
		return normalForm(x.String())
	case string:
		if r, ok := parseNumber(x); ok {
			return r.RatString()
		}
		return x
	case []any:
		for i := range x {
			x[i] = normalForm(x[i])
		}
		return x
	case map[string]any:
		for k := range x {
			x[k] = normalForm(x[k])
		}
		return x
	default:
		return doc
	}
}

func isZeroForm(doc any) bool {
	return doc == nil || doc == "" || doc == "0" || doc == false
}
