package compat

// stateRules: what only stored state can show.
var stateRules = []Rule{
	{
		ID: "STATE_MESSAGE_ADDED", Mirror: "STATE_MESSAGE_REMOVED", kind: stateMissing, writer: newer, adds: true,
		Title:   "a state message that the older version does not have",
		OneWay:  "the newer version has every state message that the older one writes",
		effects: always(Drop),
		says:    "{writer} stores {name}; {reader} does not know it and {outcome}",
		fix:     "make sure that the older code can do without it",
		Why:     "Code that does not declare a state message does not load it.",
		Buf:     "(none)",
		Example: Example{Old: "message M {}", New: "message M {}\nmessage N { int32 a = 1; }"},
	},
	{
		ID: "STATE_MESSAGE_REMOVED", Mirror: "STATE_MESSAGE_ADDED", kind: stateMissing, writer: older,
		Title:   "a state message that the newer version no longer has",
		OneWay:  "the older version has every state message that the newer one writes",
		effects: always(Drop),
		says:    "{writer} stored {name}; {reader} no longer knows it and {outcome}",
		fix:     "keep the message until no object has one stored",
		Why:     "Code that does not declare a state message does not load it.",
		Buf:     "MESSAGE_NO_DELETE",
		Example: Example{Old: "message M {}\nmessage N { int32 a = 1; }", New: "message M {}"},
	},
}
