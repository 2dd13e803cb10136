package compat

// formRules: what is sent or stored as a whole.
var formRules = []Rule{
	{
		ID: "MESSAGE_JSON_FORM_CHANGED", kind: messageForm,
		Title:    "a request, response or state that became a well-known type such as StringValue, or is one no longer",
		effects:  formEffects,
		says:     "{writer} {sends} {was} for {name}; {reader} reads {is}, whose ProtoJSON has another form, and {outcome}",
		fix:      "keep the type",
		expand:   "add a method (or a state message) with the new type beside the old one; write both, read the new one or else the old one",
		contract: "remove the old one",
		Why: "Wrappers, Timestamp, Duration, FieldMask, Struct, Value, ListValue and Any are messages of fields in binary, where they are compared field by field. " +
			"In ProtoJSON each has a form of its own, a text or a number or any object: what another type writes there is refused, or taken for something else.",
		Buf: "RPC_SAME_REQUEST_TYPE, RPC_SAME_RESPONSE_TYPE",
		Example: Example{
			Old: "import \"google/protobuf/timestamp.proto\";\nservice S { rpc A(google.protobuf.Timestamp) returns (M); }\nmessage M {}",
			New: "import \"google/protobuf/duration.proto\";\nservice S { rpc A(google.protobuf.Duration) returns (M); }\nmessage M {}",
		},
	},
}

// formEffects is what can come of a form that is not the reader's; which of it
// does is found by running it. Binary is compared by fields.
func formEffects(_ *fact, enc Encoding, _ Profile) []Effect {
	if !enc.isJSON() {
		return nil
	}
	return []Effect{Fails, Value, Drop, Presence}
}
