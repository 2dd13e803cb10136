package compat

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxWork bounds what comparing one pair of versions may cost, in steps of
// roughly a microsecond: seconds. A set made to be slow (a message of 50,000
// fields that all changed, an enum of 20,000 values in a hundred fields) is
// refused instead of being compared for hours.
const maxWork = 4_000_000

// factSteps is what a fact costs to be kept and looked at again, its memory
// included.
const factSteps = 8

// budget is what is left of the work that a check may do. Where it ends the
// check ends, with an error: never with fewer findings.
type budget struct {
	limit, spent int
	over         error
}

func newBudget(versions int) *budget {
	return &budget{limit: maxWork * max(1, versions*(versions-1)/2)}
}

// spend takes steps off, and says whether there is work left. at is what was
// being compared.
func (b *budget) spend(steps int, at protoreflect.Descriptor) bool {
	if b == nil {
		return true
	}
	if b.over == nil {
		if b.spent += max(0, steps); b.spent > b.limit {
			b.over = usageError{
				fmt.Sprintf("too much differs to be compared: %s and what was compared before it take more than %d steps", at.FullName(), b.limit),
				"check less at once: --class NAME or --service NAME",
			}
		}
	}
	return b.over == nil
}

// err is why the check ended early, if it did.
func (b *budget) err() error {
	if b == nil {
		return nil
	}
	return b.over
}

// proofSteps is what one candidate for a witness of a fact may cost: a message
// of this many fields, extensions included, is made and read, what is set in it
// is looked through; and of an enum's values the one that is shown.
func (c codec) proofSteps(f *fact) int {
	fields := f.in.w.Fields().Len() + f.in.r.Fields().Len() + len(c.writer.extensionsOf(f.in.w)) + len(c.reader.extensionsOf(f.in.r))
	steps := 2 + fields/16 + len(f.group)
	if f.wf != nil && f.wf.ContainingOneof() != nil { // the reader's oneof is looked for by every member
		steps += f.wf.ContainingOneof().Fields().Len() / 4
	}
	if f.wf != nil && elementOf(f.wf).Enum() != nil {
		steps += elementOf(f.wf).Enum().Values().Len() / 64
	}
	return steps
}

// messageSteps is what finding the facts of two messages may cost.
func messageSteps(w, r *universe, p pair) int {
	return 8 + p.w.Fields().Len() + p.r.Fields().Len() + len(w.extensionsOf(p.w)) + len(r.extensionsOf(p.r))
}

// enumSteps is what comparing two enums value by value may cost.
func enumSteps(w, r protoreflect.EnumDescriptor) int {
	return w.Values().Len() + r.Values().Len()
}
