package compat

// oneofRules: fields that exclude each other in one version only.
var oneofRules = []Rule{
	{
		ID: "ONEOF_JOINED", Mirror: "ONEOF_SPLIT", kind: oneofJoined, writer: older,
		Title:    "fields that the newer version puts into one oneof",
		OneWay:   "the newer version sets one of them at most",
		effects:  by(Loss, Fails, Fails),
		says:     "{writer} may set {name} and {name2} together; to {reader} they are one oneof, {other}: {both}",
		fix:      "put at most one field that exists already into a new oneof",
		expand:   "stop setting more than one of them; stored state is rewritten",
		contract: "put them into the oneof",
		Why:      "Of a oneof's members the last on the wire wins; the others are gone. ProtoJSON refuses two members.",
		Buf:      "FIELD_SAME_ONEOF",
		Example:  Example{Old: "message M { string a = 1; string b = 2; }", New: "message M { oneof one { string a = 1; string b = 2; } }"},
	},
	{
		ID: "ONEOF_SPLIT", Mirror: "ONEOF_JOINED", kind: oneofJoined, writer: newer,
		Title:    "fields that the newer version takes out of a oneof",
		OneWay:   "the older version sets one of them at most",
		effects:  by(Loss, Fails, Fails),
		says:     "{writer} may set {name} and {name2} together; to {reader} they are one oneof, {other}: {both}",
		fix:      "set one of them at most until every reader has them apart",
		expand:   "split the oneof; still set one at most",
		contract: "set them together",
		Why:      "Of a oneof's members the last on the wire wins; the others are gone. ProtoJSON refuses two members.",
		Buf:      "ONEOF_NO_DELETE, FIELD_SAME_ONEOF",
		Example:  Example{Old: "message M { oneof one { string a = 1; string b = 2; } }", New: "message M { string a = 1; string b = 2; }"},
	},
}
