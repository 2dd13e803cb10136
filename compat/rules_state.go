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
		effects: always(Drop), least: Warning,
		says: "{writer} stored {name}; {reader} has no such state message and {outcome}: its objects come back without it",
		fix: "keep the message until no object has one stored; if it has another name now, name both, so that they are compared " +
			"(state: of one class in the manifests, or --state twice)",
		Why: "Code that does not declare a state message does not load it: what objects have stored under it is still there, and they " +
			"come back as if it was not. A message that was only renamed is compared with its new name where that is in no doubt: " +
			"in one class, the same name in another package, where a service of the class went, or the only one that is gone and " +
			"the only one that came. That a removal was meant is for a person to say, so it is a warning.",
		Buf:     "MESSAGE_NO_DELETE",
		Example: Example{Old: "message M {}\nmessage N { int32 a = 1; }", New: "message M {}"},
	},
}
