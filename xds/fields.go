package xds

import (
	"fmt"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// fields writes metadata; keys with zero values are left out.
type fields map[string]*structpb.Value

func (f fields) text(key, v string) {
	if v != "" {
		f[key] = structpb.NewStringValue(v)
	}
}

func (f fields) flag(key string, v bool) {
	if v {
		f[key] = structpb.NewBoolValue(v)
	}
}

func (f fields) number(key string, v float64) {
	if v != 0 {
		f[key] = structpb.NewNumberValue(v)
	}
}

// integer keeps what a double cannot hold as text, as protobuf's JSON does.
func (f fields) integer(key string, v int64) {
	const exact = 1 << 53
	if v > exact || v < -exact {
		f.text(key, strconv.FormatInt(v, 10))
		return
	}
	f.number(key, float64(v))
}

func (f fields) duration(key string, v time.Duration) {
	if v != 0 {
		f.text(key, v.String())
	}
}

func (f fields) texts(key string, vs []string) {
	if len(vs) == 0 {
		return
	}
	list := &structpb.ListValue{}
	for _, v := range vs {
		list.Values = append(list.Values, structpb.NewStringValue(v))
	}
	f[key] = structpb.NewListValue(list)
}

func (f fields) structs(key string, vs []fields) {
	if len(vs) == 0 {
		return
	}
	list := &structpb.ListValue{}
	for _, v := range vs {
		list.Values = append(list.Values, structpb.NewStructValue(v.pb()))
	}
	f[key] = structpb.NewListValue(list)
}

func (f fields) sub(key string, v fields) {
	if len(v) > 0 {
		f[key] = structpb.NewStructValue(v.pb())
	}
}

func (f fields) pb() *structpb.Struct { return &structpb.Struct{Fields: f} }

// metadata wraps f for a resource.
func (f fields) metadata() *corev3.Metadata {
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{MetadataKey: f.pb()}}
}

// reader reads metadata and collects what is wrong with it. Keys that it does
// not know are left alone: control may be newer than the gateway.
type reader struct {
	at     string // where, for reasons
	s      *structpb.Struct
	errors *[]error
}

func metadataReader(at string, m *corev3.Metadata, errors *[]error) (reader, bool) {
	s, ok := m.GetFilterMetadata()[MetadataKey]
	return reader{at: at, s: s, errors: errors}, ok
}

func (r reader) fail(format string, args ...any) {
	*r.errors = append(*r.errors, fmt.Errorf("%s: %s", r.at, fmt.Sprintf(format, args...)))
}

func (r reader) get(key string) (*structpb.Value, bool) {
	v, ok := r.s.GetFields()[key]
	return v, ok
}

func (r reader) text(key string) string {
	v, ok := r.get(key)
	if !ok {
		return ""
	}
	s, isText := v.GetKind().(*structpb.Value_StringValue)
	if !isText {
		r.fail("%s is not a string", key)
		return ""
	}
	return s.StringValue
}

func (r reader) flag(key string) bool {
	v, ok := r.get(key)
	if !ok {
		return false
	}
	b, isBool := v.GetKind().(*structpb.Value_BoolValue)
	if !isBool {
		r.fail("%s is not true or false", key)
		return false
	}
	return b.BoolValue
}

func (r reader) number(key string) float64 {
	v, ok := r.get(key)
	if !ok {
		return 0
	}
	n, isNumber := v.GetKind().(*structpb.Value_NumberValue)
	if !isNumber {
		r.fail("%s is not a number", key)
		return 0
	}
	return n.NumberValue
}

func (r reader) integer(key string) int64 {
	v, ok := r.get(key)
	if !ok {
		return 0
	}
	if s, isText := v.GetKind().(*structpb.Value_StringValue); isText {
		n, err := strconv.ParseInt(s.StringValue, 10, 64)
		if err != nil {
			r.fail("%s %q is not a whole number", key, s.StringValue)
		}
		return n
	}
	n := r.number(key)
	if n != float64(int64(n)) {
		r.fail("%s %v is not a whole number", key, n)
		return 0
	}
	return int64(n)
}

func (r reader) duration(key string) time.Duration {
	s := r.text(key)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		r.fail("%s %q is not a duration", key, s)
	}
	return d
}

func (r reader) list(key string) []*structpb.Value {
	v, ok := r.get(key)
	if !ok {
		return nil
	}
	l, isList := v.GetKind().(*structpb.Value_ListValue)
	if !isList {
		r.fail("%s is not a list", key)
		return nil
	}
	return l.ListValue.GetValues()
}

func (r reader) texts(key string) []string {
	var out []string
	for i, v := range r.list(key) {
		s, isText := v.GetKind().(*structpb.Value_StringValue)
		if !isText {
			r.fail("%s[%d] is not a string", key, i)
			continue
		}
		out = append(out, s.StringValue)
	}
	return out
}

func (r reader) structs(key string) []reader {
	var out []reader
	for i, v := range r.list(key) {
		s, isStruct := v.GetKind().(*structpb.Value_StructValue)
		if !isStruct {
			r.fail("%s[%d] is not an object", key, i)
			continue
		}
		out = append(out, reader{at: fmt.Sprintf("%s: %s[%d]", r.at, key, i), s: s.StructValue, errors: r.errors})
	}
	return out
}

func (r reader) sub(key string) reader {
	v, ok := r.get(key)
	s, isStruct := v.GetKind().(*structpb.Value_StructValue)
	if ok && !isStruct {
		r.fail("%s is not an object", key)
	}
	out := reader{at: r.at + ": " + key, errors: r.errors}
	if isStruct {
		out.s = s.StructValue
	}
	return out
}

// word reads a text that must be one of known.
func word[T ~string](r reader, key string, known ...T) T {
	got := T(r.text(key))
	for _, k := range known {
		if got == k {
			return got
		}
	}
	r.fail("%s %q is not known here", key, got)
	return got
}
