package compat

const anyExample = "import \"google/protobuf/any.proto\";\nmessage M { google.protobuf.Any a = 1; }"

var anyPayloads = map[string][]string{"example.M.a": {"example.P"}}

// payloadRules: what readers of an Any cannot unpack.
var payloadRules = []Rule{
	{
		ID: "ANY_PAYLOAD_ADDED", Mirror: "ANY_PAYLOAD_REMOVED", kind: payloadMissing, writer: newer, adds: true,
		Title:    "a payload of Any that the older version does not have",
		OneWay:   "the older version does not pack it",
		effects:  always(Fails),
		says:     "{writer} packs {name} into the Any {field}; {reader} has no such type and cannot unpack it",
		fix:      "pack it only for readers that have the type",
		expand:   "every reader gets the type; nobody packs it yet",
		contract: "pack it",
		Why:      "An Any names its payload by full name. Binary carries it unread until it is unpacked; ProtoJSON cannot even parse it.",
		Buf:      "(none)",
		Example:  Example{Payloads: anyPayloads, Old: anyExample, New: anyExample + "\nmessage P { int32 x = 1; }"},
	},
	{
		ID: "ANY_PAYLOAD_REMOVED", Mirror: "ANY_PAYLOAD_ADDED", kind: payloadMissing, writer: older,
		Title:    "a payload of Any that the newer version no longer has, or has under another name",
		OneWay:   "the newer version does not pack it",
		effects:  always(Fails),
		says:     "{writer} still packs {name} into the Any {field}; {reader} no longer has that type and cannot unpack it",
		fix:      "keep the type under its full name until nobody packs it",
		expand:   "stop packing {name}; keep the type",
		contract: "remove it",
		Why:      "An Any names its payload by full name: a rename is a removal. Binary carries it unread until it is unpacked; ProtoJSON cannot even parse it.",
		Buf:      "MESSAGE_NO_DELETE",
		Example:  Example{Payloads: anyPayloads, Old: anyExample + "\nmessage P { int32 x = 1; }", New: anyExample},
	},
}
