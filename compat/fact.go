package compat

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// kind names a difference between what a writer declares and what a reader
// declares. A kind is no judgement: a rule turns it into an effect.
type kind int

// The differences. The first word says where, the rest what.
const (
	fieldUnknown     kind = iota + 1 // the reader has neither number nor name
	extensionUnknown                 // the same, of an extension
	oneofUnknown                     // the same, of a member of a oneof that the reader has
	fieldMoved                       // the reader has the name under another number
	fieldsSwapped                    // two fields have each other's number
	fieldReused                      // the reader has the number for something else
	fieldRenamed                     // same number, another name
	fieldKeyChanged                  // same name, another JSON key
	fieldKeyTaken                    // the reader has the JSON key for another field
	fieldExtension                   // an extension here, a field there
	fieldType                        // the types of the values differ
	fieldShape                       // single, repeated or map
	fieldPresence                    // the writer tells set from unset, the reader does not
	fieldRequired                    // the reader insists on it, the writer does not always write it
	fieldDefault                     // unset means another value
	fieldUTF8                        // the reader checks that strings are UTF-8, the writer does not
	mapKey                           // the types of map keys differ
	mapValue                         // the types of map values differ
	oneofJoined                      // fields that can be set together meet in one oneof
	keyCollision                     // two of the writer's JSON keys land in one field
	enumUnknown                      // a value that the reader lists neither by number nor by name
	enumRenumbered                   // a name with another number
	enumRenamed                      // a number with another name
	enumAlias                        // the writer's first name for a number is unknown, another is known
	enumClosed                       // the writer may hold any number, the reader only listed ones
	serviceMissing                   // the callee has no such service
	methodMissing                    // the callee has no such method
	clientStream                     // the caller streams, the callee takes one message
	serverStream                     // the callee streams, the caller takes one message
	idempotency                      // idempotency_level differs
	stateMissing                     // the code that loads has no such state message
	payloadMissing                   // the reader has no such Any payload
	messageForm                      // JSON: what is sent or stored as a whole is a well-known type on one side only
	constraint                       // the reader's validation rules are not the writer's
)

// fact is one difference, seen from a writer and a reader. Which fields mean
// something depends on the kind.
type fact struct {
	kind   kind
	json   bool                           // found by JSON key, not by number
	wf, rf protoreflect.FieldDescriptor   // the field on each side; rf may be nil
	w, r   protoreflect.Descriptor        // what is reported: field, oneof, enum value, enum, method; nil where absent
	in     pair                           // the messages that hold it
	number protoreflect.EnumNumber        // of an enum value
	group  []protoreflect.FieldDescriptor // fields that the fact is about together
	other  protoreflect.Descriptor        // oneofUnknown: the reader's oneof
	at     placing
}

// pair is a writer's message and the reader's message that its bytes go to.
type pair struct {
	w, r protoreflect.MessageDescriptor
	json bool
}

// node is a pair with what differs in it and where it leads.
type node struct {
	pair
	facts    []*fact
	children []*node
	dirty    bool // a fact is here or can be reached from here
}

// comparer finds the facts of message pairs, each pair once; recursion ends at
// a pair already seen.
type comparer struct {
	writer, reader *universe
	budget         *budget
	nodes          map[pair]*node
	order          []*node
	enumsOf        map[enumPair][]enumFact
	oneofsOf       map[oneofIn]protoreflect.OneofDescriptor
	expressions    []protoreflect.Descriptor // CEL rules that changed
}

// oneofIn is a writer's oneof in a pair of messages.
type oneofIn struct {
	oneof protoreflect.OneofDescriptor
	in    pair
}

func newComparer(writer, reader *universe, b *budget) *comparer {
	return &comparer{writer: writer, reader: reader, budget: b, nodes: make(map[pair]*node),
		enumsOf: make(map[enumPair][]enumFact), oneofsOf: make(map[oneofIn]protoreflect.OneofDescriptor)}
}

// compare gives the node of a pair of root messages.
func (c *comparer) compare(w, r protoreflect.MessageDescriptor, json bool) *node {
	root := c.node(pair{w, r, json})
	for len(c.order) > 0 { // a list of work: schemas nest deeper than stacks should
		n := c.order[len(c.order)-1]
		c.order = c.order[:len(c.order)-1]
		if c.budget.spend(messageSteps(c.writer, c.reader, n.pair), n.w) {
			c.message(n)
		}
	}
	return root
}

func (c *comparer) node(p pair) *node {
	if n := c.nodes[p]; n != nil {
		return n
	}
	n := &node{pair: p}
	c.nodes[p] = n
	c.order = append(c.order, n)
	return n
}

func (n *node) add(f fact) {
	f.in, f.json = n.pair, n.json
	n.facts = append(n.facts, &f)
}

// markDirty says which nodes lead to a fact, so that walks skip the rest.
func (c *comparer) markDirty() {
	parents := make(map[*node][]*node)
	var work []*node
	for _, n := range c.nodes {
		for _, child := range n.children {
			parents[child] = append(parents[child], n)
		}
		if len(n.facts) > 0 {
			n.dirty = true
			work = append(work, n)
		}
	}
	for len(work) > 0 {
		n := work[len(work)-1]
		work = work[:len(work)-1]
		for _, p := range parents[n] {
			if !p.dirty {
				p.dirty = true
				work = append(work, p)
			}
		}
	}
}
