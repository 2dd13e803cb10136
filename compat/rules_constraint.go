package compat

const validated = "import \"" + constraintsFile + "\";\n"

// constraintRules: what buf.validate rules of the reader refuse.
var constraintRules = []Rule{
	{
		ID: "CONSTRAINT_TIGHTENED", Mirror: "CONSTRAINT_LOOSENED", kind: constraint, writer: older,
		Title:    "a validation rule of the newer version that refuses what the older one may send",
		OneWay:   "the newer version sends nothing that the older one's rules refuse",
		effects:  always(Fails),
		says:     "{writer} may send a value of {name} that {reader} does not accept: its buf.validate rules refuse it",
		fix:      "tighten the rule when every writer keeps to it",
		expand:   "writers keep to the new rule; readers do not check it yet",
		contract: "check it",
		Why: "A reader that validates with protovalidate refuses what its own copy of the rules does not allow. " +
			"Standard rules are judged, by running protovalidate; a changed CEL expression is told, not judged.",
		Buf:     "PROTOVALIDATE (a plugin); no direction",
		Example: Example{Old: validated + "message M { string a = 1 [(buf.validate.field).string.max_len = 9]; }", New: validated + "message M { string a = 1 [(buf.validate.field).string.max_len = 5]; }"},
	},
	{
		ID: "CONSTRAINT_LOOSENED", Mirror: "CONSTRAINT_TIGHTENED", kind: constraint, writer: newer,
		Title:    "a validation rule of the older version that refuses what the newer one may send",
		OneWay:   "the older version sends nothing that the newer one's rules refuse",
		effects:  always(Fails),
		says:     "{writer} may send a value of {name} that {reader} does not accept: its buf.validate rules refuse it",
		fix:      "send what the old rule refuses only when every reader has the new one",
		expand:   "readers accept more; writers keep to the old rule",
		contract: "use it",
		Why: "A reader that validates with protovalidate refuses what its own copy of the rules does not allow. " +
			"Standard rules are judged, by running protovalidate; a changed CEL expression is told, not judged.",
		Buf:     "PROTOVALIDATE (a plugin); no direction",
		Example: Example{Old: validated + "message M { string a = 1 [(buf.validate.field).string.max_len = 5]; }", New: validated + "message M { string a = 1 [(buf.validate.field).string.max_len = 9]; }"},
	},
}
