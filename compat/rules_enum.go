package compat

// enumRules: numbers and names of enum values.
var enumRules = []Rule{
	{
		ID: "ENUM_VALUE_ADDED", Mirror: "ENUM_VALUE_REMOVED", kind: enumUnknown, writer: newer, adds: true,
		Title:    "an enum value that the older version does not list",
		OneWay:   "the newer version lists every value that the older one writes",
		effects:  unlistedEffects,
		says:     "{writer} {sends} {name} ({number}) in {field}; {reader} does not list it and {outcome}",
		fix:      "use the value only when every reader lists it",
		expand:   "list {name} everywhere; nobody uses it yet",
		contract: "use it",
		Why: "An open enum keeps a number without a name. A closed enum (proto2, or enum_type = CLOSED) moves it to the unknown fields: the field reads as unset, a list loses an element, a map an entry; Go keeps it. " +
			"ProtoJSON writes names: unknown ones are refused, or ignored by lenient readers, which drop list elements and map entries silently.",
		Buf:     "(none)",
		Example: Example{Old: "message M { E a = 1; }\nenum E { ZERO = 0; }", New: "message M { E a = 1; }\nenum E { ZERO = 0; ONE = 1; }"},
	},
	{
		ID: "ENUM_VALUE_REMOVED", Mirror: "ENUM_VALUE_ADDED", kind: enumUnknown, writer: older,
		Title:    "an enum value that the newer version no longer lists",
		OneWay:   "the older version lists every value that the newer one writes",
		effects:  unlistedEffects,
		says:     "{writer} still {sends} {name} ({number}) in {field}; {reader} no longer lists it and {outcome}",
		fix:      "keep the value until nobody writes it, then reserve its number and name",
		expand:   "stop using {name}; rewrite stored state that has it",
		contract: "remove it; reserve its number and name",
		Why:      "An open enum keeps a number without a name; a closed one moves it to the unknown fields; ProtoJSON refuses or ignores an unknown name.",
		Buf:      "ENUM_VALUE_NO_DELETE and its UNLESS_RESERVED forms",
		Example:  Example{Old: "message M { E a = 1; }\nenum E { ZERO = 0; ONE = 1; }", New: "message M { E a = 1; }\nenum E { ZERO = 0; reserved 1; }"},
	},
	{
		ID: "ENUM_VALUE_RENUMBERED", kind: enumRenumbered,
		Title: "an enum value whose number changed",
		effects: func(f *fact, enc Encoding, p Profile) []Effect {
			switch {
			case enc.isJSON():
				return nil
			case elementOf(f.rf).Enum().Values().ByNumber(f.number) == nil && p == Spec && elementOf(f.rf).Enum().IsClosed():
				return []Effect{Loss, Fails}
			default:
				return []Effect{Value}
			}
		},
		says:     "{writer} {sends} {name} ({number}) in {field}; to {reader} the name and the number no longer belong together: it {fate}",
		fix:      "give the value its old number back",
		expand:   "add the value under a new name and an unused number; readers take both",
		contract: "stop using the old one",
		Why:      "Binary carries the number, code compares the name. The reader acts on another value than the one that was meant.",
		Buf:      "ENUM_VALUE_SAME_NAME (not in WIRE)",
		Example:  Example{Old: "message M { E a = 1; }\nenum E { ZERO = 0; A = 1; B = 2; }", New: "message M { E a = 1; }\nenum E { ZERO = 0; A = 2; B = 1; }"},
	},
	{
		ID: "ENUM_VALUE_RENAMED", kind: enumRenamed,
		Title:    "an enum value whose name changed",
		effects:  jsonNameEffects,
		says:     "{writer} {sends} {name} in {field}; {reader} calls {number} {other} and {outcome}",
		fix:      "keep the old name as an alias (option allow_alias), declared first until every reader knows the new one",
		expand:   "add the new name as an alias after the old one",
		contract: "declare the new name first; later remove the old one",
		Why:      "ProtoJSON writes the first name of a number; a reader accepts any name that it lists. Binary carries the number and does not notice.",
		Buf:      "ENUM_VALUE_SAME_NAME",
		Example:  Example{Old: "message M { E a = 1; }\nenum E { ZERO = 0; A = 1; }", New: "message M { E a = 1; }\nenum E { ZERO = 0; B = 1; }"},
	},
	{
		ID: "ENUM_ALIAS_ORDER_CHANGED", kind: enumAlias,
		Title:    "an alias that is declared before the name that the other version knows",
		OneWay:   "a version that knows every alias reads all of them",
		effects:  jsonNameEffects,
		says:     "{writer} writes {number} as {name} in {field}; {reader} knows it as {other} only and {outcome}",
		fix:      "declare the new name after the old one until every reader knows it",
		expand:   "declare the alias after the old name",
		contract: "declare it first",
		Why:      "ProtoJSON writes the first name that a number has.",
		Buf:      "(none)",
		Example: Example{Old: "message M { E a = 1; }\nenum E { ZERO = 0; A = 1; }",
			New: "message M { E a = 1; }\nenum E { option allow_alias = true; ZERO = 0; B = 1; A = 1; }"},
	},
	{
		ID: "ENUM_CLOSED", Mirror: "ENUM_CLOSED", kind: enumClosed,
		Title:  "an enum that is open in one version and closed in the other",
		OneWay: "an open enum takes every number",
		effects: func(f *fact, enc Encoding, p Profile) []Effect {
			switch {
			case p == Go:
				return nil
			case enc.isJSON():
				return []Effect{Fails}
			default:
				return []Effect{Loss, Fails}
			}
		},
		says:     "{writer} may hold numbers in {field} that {name} does not list, for there the enum is open; {reader} has it closed: such a number {fate}",
		fix:      "make sure that only listed numbers are written, or keep the enum open",
		expand:   "rewrite what holds unlisted numbers",
		contract: "close the enum",
		Why:      "A closed enum's decoder moves an unlisted number to the unknown fields; the field reads as unset. Go treats every enum as open.",
		Buf:      "ENUM_SAME_TYPE (FILE and PACKAGE only)",
		Example: Example{Old: "message M { E a = 1 [features.field_presence = EXPLICIT]; }\nenum E { ZERO = 0; }",
			New: "message M { E a = 1 [features.field_presence = EXPLICIT]; }\nenum E { option features.enum_type = CLOSED; ZERO = 0; }"},
	},
}

// unlistedEffects is what becomes of a value that the reader's enum does not
// have, neither by number nor by name.
func unlistedEffects(f *fact, enc Encoding, p Profile) []Effect {
	switch {
	case enc.isJSON():
		return jsonNameEffects(f, enc, p)
	case p == Spec && elementOf(f.rf).Enum().IsClosed():
		return []Effect{Loss, Fails} // what is required is then missing
	default:
		return []Effect{Semantic}
	}
}

// jsonNameEffects is what becomes of a name that the reader does not know.
func jsonNameEffects(_ *fact, enc Encoding, _ Profile) []Effect {
	switch enc {
	case JSON:
		return []Effect{Fails}
	case Lenient:
		return []Effect{Loss, Presence, Fails} // what is required is then missing
	default:
		return nil
	}
}
