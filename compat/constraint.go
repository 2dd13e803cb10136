package compat

import (
	"slices"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Rules of validation are a part of the contract: what the reader's
// buf.validate rules refuse of what the writer's allow fails as surely as
// bytes that do not parse. Nothing of them is read here but where they differ
// and which constants they have: what they accept is asked of protovalidate's
// own library.

// validateNumber is the number of buf.validate's options.
const validateNumber = 1159

// constraintsFile is imported by every schema that has constraints.
const constraintsFile = "buf/validate/validate.proto"

// validators makes a universe's validator when it is first needed.
type validators struct {
	once sync.Once
	v    protovalidate.Validator
	err  error

	broken map[protoreflect.FullName]string // messages whose rules do not compile, with why
}

// validator is protovalidate with the predefined rules that the schema has.
func (u *universe) validator() (protovalidate.Validator, error) {
	u.validators.once.Do(func() {
		u.validators.broken = make(map[protoreflect.FullName]string)
		u.validators.v, u.validators.err = protovalidate.New(protovalidate.WithExtensionTypeResolver(u))
	})
	return u.validators.v, u.validators.err
}

// rulesOf gives the buf.validate option of a declaration, or nil. The option
// may be known, or be bytes that the compiler kept.
func rulesOf(d protoreflect.Descriptor) protoreflect.Message {
	options := d.Options()
	if options == nil || !options.ProtoReflect().IsValid() || proto.Size(options) == 0 {
		return nil
	}
	data, err := proto.Marshal(options)
	if err != nil {
		return nil
	}
	again := options.ProtoReflect().New()
	if proto.Unmarshal(data, again.Interface()) != nil {
		return nil
	}
	xt, err := protoregistry.GlobalTypes.FindExtensionByNumber(again.Descriptor().FullName(), validateNumber)
	if err != nil || !again.Has(xt.TypeDescriptor()) {
		return nil
	}
	return again.Get(xt.TypeDescriptor()).Message()
}

// isExpression tells CEL from standard rules, by the name of a rule's field.
func isExpression(name protoreflect.Name) bool { return name == "cel" || name == "cel_expression" }

// parts splits rules into the standard ones and the CEL expressions.
func parts(rules protoreflect.Message) (standard, expressions protoreflect.Message) {
	if rules == nil {
		return nil, nil
	}
	standard, expressions = rules.New(), rules.New()
	rules.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if isExpression(fd.Name()) {
			expressions.Set(fd, v)
		} else {
			standard.Set(fd, v)
		}
		return true
	})
	return standard, expressions
}

func sameRules(a, b protoreflect.Message) bool {
	empty := func(m protoreflect.Message) bool { return m == nil || proto.Size(m.Interface()) == 0 }
	if empty(a) || empty(b) {
		return empty(a) == empty(b)
	}
	return proto.Equal(a.Interface(), b.Interface())
}

// constraints finds rules of the reader that the writer does not have in the
// same form, or that say something else of what the writer has. Whether they
// refuse anything is shown by a witness.
func (c *comparer) constraints(n *node, arrivals map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor) {
	whole := c.messageConstraints(n)
	for i := range n.r.Fields().Len() {
		rf := n.r.Fields().Get(i)
		f := fact{kind: constraint, rf: rf, r: rf}
		if from := arrivals[rf]; len(from) > 0 {
			f.wf, f.w = from[0], from[0]
		}
		rules, theirs := rulesOf(rf), protoreflect.Message(nil)
		if f.wf != nil {
			theirs = rulesOf(f.wf)
		}
		if rules == nil && !ignoresAll(theirs) {
			continue
		}
		standard, expressions := parts(rules)
		before, wrote := parts(theirs)
		if !sameRules(expressions, wrote) && rules != nil {
			c.expression(rf)
		}
		if whole || f.wf == nil || !sameConstrained(f.wf, rf) || !sameRules(standard, before) || predefinedIn(standard) {
			n.add(f)
		}
	}
	c.oneofConstraints(n, arrivals)
}

// sameConstrained says that one rule means the same for two fields.
func sameConstrained(wf, rf protoreflect.FieldDescriptor) bool {
	we, re := elementOf(wf), elementOf(rf)
	switch {
	case we.Kind() != re.Kind() || wf.HasPresence() != rf.HasPresence() || shapeOf(wf) != shapeOf(rf):
		return false
	case wf.IsMap() && wf.MapKey().Kind() != rf.MapKey().Kind():
		return false
	case we.Enum() != nil: // defined_only
		return !slices.ContainsFunc(enumScalars(we.Enum()), func(v protoreflect.Value) bool { return re.Enum().Values().ByNumber(v.Enum()) == nil })
	case we.Message() != nil:
		return isJSONSpecial(we.Message()) == isJSONSpecial(re.Message()) && (!isJSONSpecial(we.Message()) || we.Message().FullName() == re.Message().FullName())
	default:
		return true
	}
}

// ignoresAll says that rules switch validation off, that of a message in the
// field included.
func ignoresAll(rules protoreflect.Message) bool {
	if rules == nil {
		return false
	}
	fd := rules.Descriptor().Fields().ByName("ignore")
	return fd != nil && rules.Get(fd).Enum() == ignoreAlways
}

// ignoreAlways is buf.validate.IGNORE_ALWAYS.
const ignoreAlways = 3

// predefinedIn says that rules use some that a schema defines: what these mean
// may have changed where they are defined.
func predefinedIn(rules protoreflect.Message) bool {
	found := len(rules.GetUnknown()) > 0
	rules.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.IsExtension() || fd.Message() != nil && !fd.IsList() && !fd.IsMap() && predefinedIn(v.Message()) {
			found = true
		}
		return !found
	})
	return found
}

// messageConstraints compares rules about a whole message. changed says that
// those of its fields mean something else because of it: what is in a oneof of
// the message's rules need not be set.
func (c *comparer) messageConstraints(n *node) (changed bool) {
	rules, theirs := rulesOf(n.r), rulesOf(n.w)
	standard, expressions := parts(rules)
	before, wrote := parts(theirs)
	if rules != nil && !sameRules(expressions, wrote) {
		c.expression(n.r)
	}
	if sameRules(standard, before) {
		return false
	}
	if standard != nil && proto.Size(standard.Interface()) > 0 {
		n.add(fact{kind: constraint, r: n.r, w: n.w})
	}
	return true
}

// oneofConstraints compares rules about oneofs.
func (c *comparer) oneofConstraints(n *node, arrivals map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor) {
	for i := range n.r.Oneofs().Len() {
		od := n.r.Oneofs().Get(i)
		rules := rulesOf(od)
		if rules == nil {
			continue
		}
		f := fact{kind: constraint, r: od}
		if mine := n.w.Oneofs().ByName(od.Name()); mine != nil {
			if f.w = mine; sameRules(rules, rulesOf(mine)) && allArrive(mine, od, arrivals) {
				continue
			}
		}
		n.add(f)
	}
}

// allArrive says that the reader has every member of a oneof.
func allArrive(mine, theirs protoreflect.OneofDescriptor, arrivals map[protoreflect.FieldDescriptor][]protoreflect.FieldDescriptor) bool {
	n := 0
	for i := range theirs.Fields().Len() {
		n += len(arrivals[theirs.Fields().Get(i)])
	}
	return n >= mine.Fields().Len()
}

// expression notes a CEL rule that changed: it is told, not judged.
func (c *comparer) expression(d protoreflect.Descriptor) {
	if !slices.Contains(c.expressions, d) {
		c.expressions = append(c.expressions, d)
	}
}
