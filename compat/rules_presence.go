package compat

// presenceRules: what unset means.
var presenceRules = []Rule{
	{
		ID: "FIELD_PRESENCE_CHANGED", kind: fieldPresence,
		Title:    "a field that tells unset from zero in one version only",
		OneWay:   "a version that does not write zero has nothing to lose",
		effects:  always(Presence),
		says:     "{writer} {sends} {name} set to {zero}; {reader} {outcome}",
		fix:      "do not give an explicit {zero} a meaning of its own while both versions run",
		expand:   "every reader learns to tell set from unset",
		contract: "writers use it",
		Why:      "A field without presence is not written when it is zero and reads as zero when it is not there: a value that was set to zero becomes one that was not set.",
		Buf:      "(none)",
		Example:  Example{Old: "message M { int32 a = 1; }", New: "message M { int32 a = 1 [features.field_presence = EXPLICIT]; }"},
	},
	{
		ID: "FIELD_REQUIRED_ADDED", Mirror: "FIELD_REQUIRED_REMOVED", kind: fieldRequired, writer: older,
		Title:    "a field that the newer version insists on",
		OneWay:   "the newer version always writes it",
		effects:  always(Fails),
		says:     "{writer} may leave {name} out; {reader} requires it and {outcome}",
		fix:      "do not make fields required; check in code what must be there",
		expand:   "every writer sets {name}, and stored state is rewritten with it",
		contract: "require {name}",
		Why:      "A reader refuses the whole message when a required field is missing (C++, Go, Java; protobuf-es and Python read it and fail later). Implicit fields that are zero are missing too.",
		Buf:      "MESSAGE_SAME_REQUIRED_FIELDS",
		Example:  Example{Old: "message M { int32 a = 1; }", New: "message M { int32 a = 1 [features.field_presence = LEGACY_REQUIRED]; }"},
	},
	{
		ID: "FIELD_REQUIRED_REMOVED", Mirror: "FIELD_REQUIRED_ADDED", kind: fieldRequired, writer: newer,
		Title:    "a field that the older version insists on",
		OneWay:   "the older version always writes it",
		effects:  always(Fails),
		says:     "{writer} may leave {name} out; {reader} requires it and {outcome}",
		fix:      "keep writing it until no reader requires it",
		expand:   "make {name} optional, and keep setting it",
		contract: "stop setting {name}",
		Why:      "A reader refuses the whole message when a required field is missing.",
		Buf:      "MESSAGE_SAME_REQUIRED_FIELDS",
		Example:  Example{Old: "message M { int32 a = 1 [features.field_presence = LEGACY_REQUIRED]; }", New: "message M { int32 a = 1; }"},
	},
	{
		ID: "FIELD_DEFAULT_CHANGED", kind: fieldDefault,
		Title:    "a field whose unset value means something else",
		effects:  always(Semantic),
		says:     "{writer} leaves {name} unset, meaning {wasdefault}; {reader} takes it for {isdefault}",
		fix:      "set the field explicitly while both versions run",
		expand:   "every writer sets {name} explicitly",
		contract: "change the default",
		Why:      "A default is in the reader's schema, not in the bytes.",
		Buf:      "FIELD_SAME_DEFAULT",
		Example:  Example{Old: "message M { int32 a = 1 [features.field_presence = EXPLICIT, default = 5]; }", New: "message M { int32 a = 1 [features.field_presence = EXPLICIT, default = 7]; }"},
	},
	{
		ID: "FIELD_UTF8_CHANGED", kind: fieldUTF8,
		Title:    "a string that only one version checks to be UTF-8",
		OneWay:   "a reader that does not check takes every string",
		effects:  badTextEffects,
		says:     "{writer} may put bytes that are not UTF-8 into {name}; {reader} checks and {outcome}",
		fix:      "make sure that writers send UTF-8 before a reader checks it",
		expand:   "writers check their text; stored state is cleaned",
		contract: "let readers check",
		Why:      "proto2 strings are not checked, proto3 strings are; editions say it in features.utf8_validation. A reader that checks refuses the whole message.",
		Buf:      "FIELD_SAME_UTF8_VALIDATION (FILE and PACKAGE only)",
		Example: Example{Old: "message M { string a = 1 [features.utf8_validation = NONE]; }",
			New: "message M { string a = 1; }"},
	},
}

// badTextEffects is what becomes of text that is not UTF-8; none can be
// written in ProtoJSON.
func badTextEffects(f *fact, enc Encoding, p Profile) []Effect {
	if enc.isJSON() || !refusesBadText(f.rf, p) {
		return nil
	}
	return []Effect{Fails}
}
