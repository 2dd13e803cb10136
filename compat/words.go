package compat

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// sentence fills the places in braces of a rule's words:
//
//	{writer} {reader}      "a v42 worker", "a v41 object", "v41 code"
//	{sends}                what a writer does on this leg
//	{W} {R}                the writer's and the reader's version
//	{name} {other}         what changed, and what it is to the reader
//	{outcome} {fate}       what the reader does; what becomes of the value
//
// and the details of a kind of fact (details).
func (h *hit) sentence(text string, versions []*version) string {
	w, r := versions[h.writer].Name, versions[h.reader].Name
	pairs := []string{"{W}", w, "{R}", r, "{outcome}", outcomes[h.effect], "{fate}", fates[h.effect], "{both}", h.both()}
	switch h.leg {
	case LegRequest:
		pairs = append(pairs, "{writer}", an(w)+" worker", "{reader}", an(r)+" object", "{sends}", "sends")
	case LegResponse:
		pairs = append(pairs, "{writer}", an(w)+" object", "{reader}", an(r)+" worker", "{sends}", "answers with")
	default:
		pairs = append(pairs, "{writer}", w+" code", "{reader}", r+" code", "{sends}", "stores")
	}
	pairs = append(pairs, h.details()...)
	return fill(text, pairs)
}

// fill puts words for the names in braces. strings.Replacer does the same, and
// takes longer to be built than all else about a finding takes.
func fill(text string, pairs []string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		text = rest
		word := "{"
		if end := strings.IndexByte(rest, '}'); end >= 0 {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i][1:] == rest[:end+1] {
					word, text = pairs[i+1], rest[end+1:]
					break
				}
			}
		}
		out.WriteString(word)
	}
}

func an(version string) string {
	if version != "" && strings.ContainsRune("aeiouAEIOU8", rune(version[0])) {
		return "an " + version
	}
	return "a " + version
}

// What a reader does, and what becomes of a value.
var (
	outcomes = map[Effect]string{
		Drop: "ignores it", Fails: "refuses the whole message", Value: "reads another value", Loss: "loses it",
		Presence: "takes it for unset", Semantic: "has no name for it", Unimplemented: "fails the call",
	}
	fates = map[Effect]string{
		Drop: "is ignored", Fails: "makes it refuse the whole message", Value: "becomes another value", Loss: "is lost",
		Presence: "is taken for unset", Semantic: "has no name", Unimplemented: "fails the call",
	}
)

func (h *hit) both() string {
	if h.effect == Fails {
		return "it refuses the whole message"
	}
	return "only the last on the wire survives"
}

// details fills in what a fact is about.
func (h *hit) details() []string {
	f := h.fact
	name, other := shortName(f.w), shortName(f.r)
	if f.w == nil {
		name = other
	}
	pairs := []string{}
	switch f.kind {
	case enumClosed:
		name = shortName(f.r)
	case oneofUnknown:
		other = shortName(f.other)
	case fieldsSwapped:
		other = string(f.at.peer.Name())
	case oneofJoined, keyCollision:
		name = string(f.group[0].Name())
		pairs = append(pairs, "{name2}", string(f.group[1].Name()))
	case messageForm:
		pairs = append(pairs, "{was}", string(f.in.w.Name()), "{is}", string(f.in.r.Name()))
	case idempotency:
		pairs = append(pairs, "{was}", idempotencyText(f.w), "{is}", idempotencyText(f.r))
	}
	pairs = append(pairs, "{name}", name, "{other}", other)
	if f.wf != nil {
		pairs = append(pairs, h.fieldDetails()...)
	}
	return pairs
}

func (h *hit) fieldDetails() []string {
	f := h.fact
	pairs := []string{
		"{tag}", fmt.Sprintf("%s, number %d", typeText(f.wf), f.wf.Number()),
		"{n}", fmt.Sprint(f.wf.Number()),
		"{was}", typeText(f.wf),
		"{field}", string(f.wf.Name()),
		"{number}", fmt.Sprint(f.number),
		"{key}", quote(keyOf(f.wf)),
	}
	if shapeOf(f.wf) == single && !isMessage(f.wf) {
		pairs = append(pairs, "{zero}", showScalar(f.wf, zeroOf(f.wf)), "{wasdefault}", showScalar(f.wf, f.wf.Default()))
	}
	rf := f.rf
	if f.at.meant != nil {
		rf = f.at.meant
	}
	if rf == nil {
		return pairs
	}
	oldKey := keyOf(f.wf)
	if h.newerWrites() {
		oldKey = keyOf(rf)
	}
	pairs = append(pairs, "{m}", fmt.Sprint(rf.Number()), "{is}", typeText(rf), "{otherkey}", quote(keyOf(rf)), "{oldkey}", oldKey,
		"{misfit}", h.misfit(rf))
	if shapeOf(rf) == single && !isMessage(rf) {
		pairs = append(pairs, "{isdefault}", showScalar(rf, rf.Default()))
	}
	return pairs
}

// misfit is which values of one type the other does not take as they are.
func (h *hit) misfit(rf protoreflect.FieldDescriptor) string {
	w, r, json := elementOf(h.fact.wf), elementOf(rf), h.encoding.isJSON()
	switch {
	case isText(w.Kind()) && json && r.Kind() == protoreflect.StringKind:
		return "the value, sent as base64,"
	case isText(w.Kind()) && json:
		return "text, taken for base64,"
	case isText(w.Kind()):
		return "what is not valid text"
	case r.Enum() != nil && json && tokenOf(w) == quotedToken:
		return "a number, which JSON has in quotes,"
	case r.Enum() != nil:
		return "a number that the enum does not list"
	case w.Enum() != nil && json:
		return "the name of a value"
	case isZigzag(w.Kind()) != isZigzag(r.Kind()) && !json:
		return "every value but 0"
	default:
		return "a value outside its range"
	}
}

func quote(s string) string { return `"` + s + `"` }

func keyOf(fd protoreflect.FieldDescriptor) string {
	if fd.IsExtension() {
		return "[" + string(fd.FullName()) + "]"
	}
	return fd.JSONName()
}

func shortName(d protoreflect.Descriptor) string {
	switch d := d.(type) {
	case nil:
		return ""
	case protoreflect.ServiceDescriptor, protoreflect.MessageDescriptor, protoreflect.EnumDescriptor:
		return string(d.FullName())
	default:
		return string(d.Name())
	}
}

// typeText is a field's type as its declaration says it.
func typeText(fd protoreflect.FieldDescriptor) string {
	element := func(fd protoreflect.FieldDescriptor) string {
		switch {
		case fd.Kind() == protoreflect.GroupKind:
			return "delimited " + string(fd.Message().Name())
		case fd.Message() != nil:
			return string(fd.Message().Name())
		case fd.Enum() != nil:
			return string(fd.Enum().Name())
		default:
			return fd.Kind().String()
		}
	}
	switch {
	case fd.IsMap():
		return "map<" + element(fd.MapKey()) + ", " + element(fd.MapValue()) + ">"
	case fd.IsList():
		return "repeated " + element(fd)
	case fd.Cardinality() == protoreflect.Required:
		return "required " + element(fd)
	default:
		return element(fd)
	}
}

func idempotencyText(d protoreflect.Descriptor) string {
	switch idempotencyOf(d.(protoreflect.MethodDescriptor)) {
	case descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		return "free of side effects"
	case descriptorpb.MethodOptions_IDEMPOTENT:
		return "idempotent"
	default:
		return "neither idempotent nor free of side effects"
	}
}
