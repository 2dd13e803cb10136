package compat

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// stepBytes is how much of a message is validated in a step's time.
const stepBytes = 256

// sendable is a message that a writer may send, as far as rules go, with those
// that it breaks elsewhere.
type sendable struct {
	message *dynamicpb.Message
	breaks  []string
}

// proveConstraint looks for a message that the writer's rules allow and the
// reader's refuse.
func (c codec) proveConstraint(f *fact) *witness {
	for _, s := range c.sendable(f) {
		if !c.budget.spend(c.proofSteps(f)+proto.Size(s.message)/stepBytes, f.in.w) {
			return nil
		}
		data, err := c.write(s.message)
		if err != nil {
			continue
		}
		got, err := c.read(data, f.in.r, true)
		if err != nil {
			continue
		}
		refused := c.refusal(f, got)
		if refused == "" {
			continue
		}
		self := codec{c.encoding, c.profile, c.writer, c.writer, c.budget}
		if back, err := self.read(data, s.message.Descriptor(), true); err == nil && len(self.observe(s.message, back)) == 0 {
			return &witness{effect: Fails, message: s.message, bytes: data, outcome: "refused by validation: " + refused}
		}
	}
	return nil
}

// refusal is the standard rule by which the reader refuses what the fact is
// about.
func (c codec) refusal(f *fact, got proto.Message) string {
	for _, v := range violations(c.reader, got) {
		if about(v, f.r, ignoresAll(rulesIn(f.wf))) && !isCEL(v) {
			return fmt.Sprintf("%s (%s)", v, v.Proto.GetRuleId())
		}
	}
	return ""
}

// sendable keeps the candidates that the writer's rules allow. What all of
// them break is not what the fact is about: they set as little as they can,
// and another field may have to be set. What only some of them break they
// break by what they set.
func (c codec) sendable(f *fact) []sendable {
	var out []sendable
	var common []string
	for _, m := range c.constrained(f) {
		if !c.budget.spend(c.proofSteps(f)+proto.Size(m)/stepBytes, f.in.w) {
			return nil
		}
		s := sendable{message: m}
		own := false
		for _, v := range violations(c.writer, m) {
			own = own || f.w != nil && about(v, f.w, true)
			s.breaks = append(s.breaks, ruleKey(v))
		}
		if own {
			continue
		}
		if len(out) == 0 {
			common = s.breaks
		}
		common = slices.DeleteFunc(slices.Clone(common), func(key string) bool { return !slices.Contains(s.breaks, key) })
		out = append(out, s)
	}
	return slices.DeleteFunc(out, func(s sendable) bool {
		return slices.ContainsFunc(s.breaks, func(key string) bool { return !slices.Contains(common, key) })
	})
}

// violations are the rules that a message breaks.
func violations(u *universe, m proto.Message) []*protovalidate.Violation {
	v, err := u.validator()
	if err != nil {
		return nil
	}
	var refused *protovalidate.ValidationError
	var broken *protovalidate.CompilationError
	switch err := v.Validate(m); {
	case errors.As(err, &refused):
		return refused.Violations
	case errors.As(err, &broken):
		u.validators.broken[m.ProtoReflect().Descriptor().FullName()] = plainError(broken).Error()
	}
	return nil
}

// brokenRules tells of rules that protovalidate cannot compile: it refuses
// every message that has them, and there is nothing to judge.
func (k *check) brokenRules() []report.Notice {
	var out []report.Notice
	for _, v := range k.versions {
		for name, why := range v.universe.validators.broken {
			var at schema.Place
			if md := v.Set.Message(name); md != nil {
				at = v.Set.Place(md)
			}
			out = append(out, report.Notice{Kind: report.NotChecked, File: at.File, Line: at.Line,
				Message: fmt.Sprintf("the buf.validate rules of %s in %s are not valid, so none of them were judged: %s", name, v.Name, why)})
		}
	}
	slices.SortFunc(out, func(a, b report.Notice) int { return strings.Compare(a.Message, b.Message) })
	return out
}

// about says that a violation is of a field, a oneof or a message; of what is
// in the messages that a field holds only if inside.
func about(v *protovalidate.Violation, d protoreflect.Descriptor, inside bool) bool {
	path := v.Proto.GetField().GetElements()
	if _, whole := d.(protoreflect.MessageDescriptor); whole {
		return len(path) == 0 && !isCEL(v)
	}
	return len(path) > 0 && protoreflect.Name(path[0].GetFieldName()) == d.Name() && (inside || len(path) == 1)
}

// isCEL tells expressions from standard rules.
func isCEL(v *protovalidate.Violation) bool {
	for _, e := range v.Proto.GetRule().GetElements() {
		if isExpression(protoreflect.Name(e.GetFieldName())) {
			return true
		}
	}
	return false
}

func ruleKey(v *protovalidate.Violation) string {
	return protovalidate.FieldPathString(v.Proto.GetField()) + " " + v.Proto.GetRuleId()
}

func rulesIn(fd protoreflect.FieldDescriptor) protoreflect.Message {
	if fd == nil {
		return nil
	}
	return rulesOf(fd)
}

// fewMembers bounds how many fields are set for rules about several.
const fewMembers = 12

// constrained lists messages at the edges of what the rules of both sides say.
func (c codec) constrained(f *fact) []*dynamicpb.Message {
	s := sampler{u: c.writer, budget: c.budget, payload: f.in.w.FullName()}
	out := []*dynamicpb.Message{s.base(f)}
	if f.wf == nil {
		return append(out, s.members(f)...)
	}
	e := edges{s: s, fact: f}
	e.collect(rulesOf(f.wf))
	e.collect(rulesOf(f.rf))
	values := s.values(dynamicpb.NewMessage(f.in.w), f.wf, 2)
	return append(out, c.each(f, s, append(values, e.values()...))...)
}

// members sets each field that a rule about a oneof or a message may be about,
// alone and with each other.
func (s sampler) members(f *fact) []*dynamicpb.Message {
	fields := s.u.fields(f.in.w)
	if od, ok := f.w.(protoreflect.OneofDescriptor); ok {
		fields = nil
		for i := range od.Fields().Len() {
			fields = append(fields, od.Fields().Get(i))
		}
	}
	fields = fields[:min(len(fields), fewMembers)]
	var out []*dynamicpb.Message
	for i, a := range fields {
		for _, b := range fields[i:] {
			m := s.base(f)
			for _, fd := range []protoreflect.FieldDescriptor{a, b} {
				if values := s.values(m, fd, 1); len(values) > 0 {
					m.Set(fd, values[0])
				}
			}
			out = append(out, m)
		}
	}
	return out
}
