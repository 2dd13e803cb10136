package compat

// fieldRules: fields that one side does not have.
var fieldRules = []Rule{
	{
		ID: "FIELD_ADDED", Mirror: "FIELD_REMOVED", kind: fieldUnknown, writer: newer, adds: true,
		Title:    "a field that the older version does not have",
		OneWay:   "what the older version writes lacks the field, which reads as unset",
		effects:  by(Drop, Fails, Drop),
		says:     "{writer} {sends} {name} ({tag}); {reader} does not know it and {outcome}",
		fix:      "send it only to readers that know it",
		expand:   "every reader learns {name}; nobody writes it yet",
		contract: "writers write {name}",
		Why: "An unknown field is kept in binary, refused in ProtoJSON, and skipped by lenient ProtoJSON readers. " +
			"In a request it is an argument that the object never sees; in a response it is what every addition does. " +
			"Whether the reader may do without it is not in the schema.",
		Buf:     "(none)",
		Example: Example{Old: "message M { int32 a = 1; }", New: "message M { int32 a = 1; string b = 2; }"},
	},
	{
		ID: "FIELD_REMOVED", Mirror: "FIELD_ADDED", kind: fieldUnknown, writer: older,
		Title:    "a field that the newer version no longer has",
		OneWay:   "what the newer version writes lacks the field, which reads as unset",
		effects:  by(Drop, Fails, Drop),
		says:     "{writer} still {sends} {name} ({tag}); {reader} no longer knows it and {outcome}",
		fix:      "keep the field until nobody writes it, then reserve its number and name",
		expand:   "stop writing {name}; keep reading it",
		contract: "remove {name}; reserve its number and name",
		Why: "Removal is an addition seen from the other side: what is still written is kept as unknown in binary, " +
			"refused in ProtoJSON, skipped by lenient ProtoJSON readers.",
		Buf:     "FIELD_NO_DELETE and its UNLESS_RESERVED forms",
		Example: Example{Old: "message M { int32 a = 1; string b = 2; }", New: "message M { reserved 2; int32 a = 1; }"},
	},
	{
		ID: "EXTENSION_ADDED", Mirror: "EXTENSION_REMOVED", kind: extensionUnknown, writer: newer, adds: true,
		Title:   "an extension that the older version does not have",
		OneWay:  "what the older version writes lacks the extension",
		effects: extensionEffects,
		says:    "{writer} {sends} the extension {name} ({tag}); {reader} does not know it and {outcome}",
		fix:     "set it only for readers that know it",
		Why:     "An extension is a field; a reader without it, or without its range, treats it as unknown.",
		Buf:     "(none)",
		Example: Example{Old: "message M { extensions 100 to 200; }", New: "message M { extensions 100 to 200; }\nextend M { string note = 100; }"},
	},
	{
		ID: "EXTENSION_REMOVED", Mirror: "EXTENSION_ADDED", kind: extensionUnknown, writer: older,
		Title:    "an extension, or its range, that the newer version no longer has",
		OneWay:   "what the newer version writes lacks the extension",
		effects:  extensionEffects,
		says:     "{writer} still {sends} the extension {name} ({tag}); {reader} no longer knows it and {outcome}",
		fix:      "keep it until nobody writes it",
		expand:   "stop setting {name}; keep its declaration",
		contract: "remove {name}",
		Why:      "An extension is a field; a reader without it, or without its range, treats it as unknown.",
		Buf:      "EXTENSION_NO_DELETE, PACKAGE_EXTENSION_NO_DELETE, EXTENSION_MESSAGE_NO_DELETE",
		Example:  Example{Old: "message M { extensions 100 to 200; }\nextend M { string note = 100; }", New: "message M { extensions 100 to 200; }"},
	},
	{
		ID: "ONEOF_MEMBER_ADDED", Mirror: "ONEOF_MEMBER_REMOVED", kind: oneofUnknown, writer: newer, adds: true,
		Title:    "a member of a oneof that the older version does not have",
		OneWay:   "the newer version knows every member that the older one writes",
		effects:  memberEffects,
		says:     "{writer} sets {name} in the oneof {other}; {reader} does not know that member and {outcome}",
		fix:      "make the reader of the oneof handle \"none set\" before the new member is used",
		expand:   "every reader learns {name}; nobody writes it yet",
		contract: "writers write {name}",
		Why: "A reader that does not know the member that is set sees the oneof as not set at all, which often has a meaning of its own. " +
			"Binary keeps the bytes as an unknown field.",
		Buf:     "(none)",
		Example: Example{Old: "message M { oneof pay { string card = 1; } }", New: "message M { oneof pay { string card = 1; string iban = 2; } }"},
	},
	{
		ID: "ONEOF_MEMBER_REMOVED", Mirror: "ONEOF_MEMBER_ADDED", kind: oneofUnknown, writer: older,
		Title:    "a member of a oneof that the newer version no longer has",
		OneWay:   "the older version knows every member that the newer one writes",
		effects:  memberEffects,
		says:     "{writer} still sets {name} in the oneof {other}; {reader} no longer knows that member and {outcome}",
		fix:      "keep the member until nobody sets it",
		expand:   "stop setting {name}; keep reading it",
		contract: "remove {name}; reserve its number and name",
		Why:      "A reader that does not know the member that is set sees the oneof as not set at all.",
		Buf:      "FIELD_NO_DELETE",
		Example:  Example{Old: "message M { oneof pay { string card = 1; string iban = 2; } }", New: "message M { oneof pay { string card = 1; } }"},
	},
}

// memberEffects: the oneof appears unset, unless other bytes land in it.
func memberEffects(_ *fact, enc Encoding, _ Profile) []Effect {
	if enc == JSON {
		return []Effect{Fails}
	}
	return []Effect{Presence, Drop}
}

// extensionEffects: a reader that has an extension of that name for another
// message refuses it even where it ignores what it does not know.
func extensionEffects(_ *fact, enc Encoding, _ Profile) []Effect {
	switch enc {
	case Binary:
		return []Effect{Drop}
	case JSON:
		return []Effect{Fails}
	default:
		return []Effect{Drop, Fails}
	}
}
