package compat

// typeEffects is the effect of other types, by encoding.
func typeEffects(f *fact, enc Encoding, p Profile) []Effect {
	if enc.isJSON() {
		return jsonType(f.wf, f.rf, enc, p)
	}
	return binaryType(f.wf, f.rf, p)
}

const (
	newFieldExpand   = "add a field of the new type under a new number; write both, read the new one or else the old one"
	newFieldContract = "stop writing the old field; reserve its number and name"
)

// typeRules: fields whose values are of other types. What each does follows
// from wire type, zigzag and range in binary (effects_binary.go), from tokens
// in JSON (effects_json.go).
var typeRules = []Rule{
	{
		ID: "FIELD_INT_RANGE_CHANGED", kind: fieldType, families: []family{intRange}, effects: typeEffects,
		Title:    "an integer of another width or sign",
		OneWay:   "the wider type holds every value of the narrower one",
		says:     "{writer} {sends} {name} as {was}; {reader} reads {is}: a value outside its range {fate}",
		fix:      "write larger or negative values only when every reader has the wider type",
		expand:   newFieldExpand,
		contract: newFieldContract,
		Why:      "All plain varints share one encoding. A reader takes the low 32 bits, or the same 64 bits under another sign, without an error; ProtoJSON refuses what is out of range.",
		Buf:      "FIELD_SAME_TYPE; FIELD_WIRE_COMPATIBLE_TYPE is silent",
		Example:  Example{Old: "message M { int32 a = 1; }", New: "message M { int64 a = 1; }"},
	},
	{
		ID: "FIELD_INT_ENCODING_CHANGED", kind: fieldType, families: []family{intCoding}, effects: typeEffects,
		Title: "a plain integer that became a zigzag one, or the reverse",
		says:  "{writer} {sends} {name} as {was}; {reader} reads {is}: {misfit} {fate}",
		fix:   "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "sint32 and sint64 encode 1 as 2 and -1 as 1 on the wire. The same bytes decode to another number, without an error.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { int32 a = 1; }", New: "message M { sint32 a = 1; }"},
	},
	{
		ID: "FIELD_FIXED_SIGN_CHANGED", kind: fieldType, families: []family{fixedSign}, effects: typeEffects,
		Title: "a fixed-width integer that changed its sign",
		says:  "{writer} {sends} {name} as {was}; {reader} reads {is}: a value outside its range {fate}",
		fix:   "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "The same bits mean another number under another sign.",
		Buf:     "FIELD_SAME_TYPE; FIELD_WIRE_JSON_COMPATIBLE_TYPE is silent",
		Example: Example{Old: "message M { fixed32 a = 1; }", New: "message M { sfixed32 a = 1; }"},
	},
	{
		ID: "FIELD_FIXED_FLOAT_CHANGED", kind: fieldType, families: []family{fixedFloat}, effects: typeEffects,
		Title: "a fixed-width integer that became a floating-point number, or the reverse",
		says:  "{writer} {sends} {name} as {was}; {reader} reads {is}: the value {fate}",
		fix:   "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "The wire type is the same, so the bits of one are taken for the other, without an error.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { fixed32 a = 1; }", New: "message M { float a = 1; }"},
	},
	{
		ID: "FIELD_BOOL_INT_CHANGED", kind: fieldType, families: []family{boolNumber}, effects: typeEffects,
		Title:  "a number that became a bool, or the reverse",
		OneWay: "false and true read as 0 and 1 by an integer",
		says:   "{writer} {sends} {name} as {was}; {reader} reads {is}: the value {fate}",
		fix:    "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "A bool decoder takes every varint that is not 0 for true: the number is gone. The reverse is exact in binary; ProtoJSON refuses both.",
		Buf:     "FIELD_SAME_TYPE; FIELD_WIRE_COMPATIBLE_TYPE is silent",
		Example: Example{Old: "message M { int32 a = 1; }", New: "message M { bool a = 1; }"},
	},
	{
		ID: "FIELD_ENUM_INT_CHANGED", kind: fieldType, families: []family{enumNumber}, effects: typeEffects,
		Title:  "an integer that became an enum, or the reverse",
		OneWay: "an integer wide enough holds every number of an enum",
		says:   "{writer} {sends} {name} as {was}; {reader} reads {is}: {misfit} {fate}",
		fix:    "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "Both are varints. An open enum keeps a number without a name; a closed enum moves it to the unknown fields (Go keeps it); ProtoJSON writes names, which integers refuse.",
		Buf:     "FIELD_SAME_TYPE; FIELD_WIRE_COMPATIBLE_TYPE is silent",
		Example: Example{Old: "message M { int32 a = 1; }", New: "message M { E a = 1; }\nenum E { ZERO = 0; ONE = 1; }"},
	},
	{
		ID: "FIELD_FLOAT_WIDTH_CHANGED", kind: fieldType, families: []family{floatWidth}, effects: typeEffects,
		Title: "float that became double, or the reverse",
		says:  "{writer} {sends} {name} as {was}; {reader} reads {is}: the value {fate}",
		fix:   "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "float has four bytes, double eight: another wire type, so the value does not arrive. ProtoJSON carries it, rounded, and refuses what a float cannot hold.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE; FIELD_WIRE_JSON_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { float a = 1; }", New: "message M { double a = 1; }"},
	},
	{
		ID: "FIELD_STRING_BYTES_CHANGED", kind: fieldType, families: []family{stringBytes}, effects: typeEffects,
		Title:  "a string that became bytes, or the reverse",
		OneWay: "bytes hold every string",
		says:   "{writer} {sends} {name} as {was}; {reader} reads {is}: {misfit} {fate}",
		fix:    "roll out the side that reads bytes first and write only UTF-8 until then", expand: newFieldExpand, contract: newFieldContract,
		Why:     "Both are length-prefixed. A string decoder refuses bytes that are not UTF-8 (unless utf8_validation is NONE). ProtoJSON writes bytes as base64: text that happens to be base64 decodes to something else, silently.",
		Buf:     "FIELD_SAME_TYPE; FIELD_WIRE_COMPATIBLE_TYPE flags bytes to string",
		Example: Example{Old: "message M { string a = 1; }", New: "message M { bytes a = 1; }"},
	},
	{
		ID: "FIELD_MESSAGE_BYTES_CHANGED", kind: fieldType, families: []family{messageText}, effects: typeEffects,
		Title:  "a message that became bytes or a string, or the reverse",
		OneWay: "bytes hold the encoding of every message",
		says:   "{writer} {sends} {name} as {was}; {reader} reads {is} and {outcome}",
		fix:    "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "Both are length-prefixed. Bytes hold a message's encoding as it is; parsing arbitrary bytes as a message fails or gives something that nobody wrote. ProtoJSON refuses both.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { N a = 1; }\nmessage N { int32 x = 1; }", New: "message M { bytes a = 1; }"},
	},
	{
		ID: "FIELD_MESSAGE_ENCODING_CHANGED", kind: fieldType, families: []family{messageCoding}, effects: typeEffects,
		Title:  "a group or delimited message that became length-prefixed, or the reverse",
		OneWay: "",
		says:   "{writer} {sends} {name} as {was}; {reader} reads {is}: the value {fate}",
		fix:    "keep features.message_encoding", expand: newFieldExpand, contract: newFieldContract,
		Why:     "Start and end tags are another wire type than a length: the reader keeps the bytes as unknown and the field stays unset. ProtoJSON does not notice.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { N a = 1; }\nmessage N { int32 x = 1; }", New: "message M { N a = 1 [features.message_encoding = DELIMITED]; }\nmessage N { int32 x = 1; }"},
	},
	{
		ID: "FIELD_WRAPPER_CHANGED", kind: fieldType, families: []family{wrapperScalar}, effects: typeEffects,
		Title: "a scalar that became a wrapper such as Int32Value, or the reverse",
		says:  "{writer} {sends} {name} as {was}; {reader} reads {is}: the value {fate}",
		fix:   "use optional instead of a wrapper: it does not change the encoding", expand: newFieldExpand, contract: newFieldContract,
		Why:     "In ProtoJSON a wrapper is written as its value, so both sides understand each other; in binary it is a message, another wire type than a number.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { int32 a = 1; }", New: "import \"google/protobuf/wrappers.proto\";\nmessage M { google.protobuf.Int32Value a = 1; }"},
	},
	{
		ID: "FIELD_WELL_KNOWN_TYPE_CHANGED", kind: fieldType, families: []family{wellKnown}, effects: typeEffects,
		Title:  "a well-known type such as Timestamp that became another type, or the reverse",
		OneWay: "a Timestamp's JSON is text, which a string reads",
		says:   "{writer} {sends} {name} as {was}; {reader} reads {is} and {outcome}",
		fix:    "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "Timestamp, Duration and FieldMask are messages in binary and text in ProtoJSON: what JSON readers may accept, binary readers cannot.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { string a = 1; }", New: "import \"google/protobuf/timestamp.proto\";\nmessage M { google.protobuf.Timestamp a = 1; }"},
	},
	{
		ID: "FIELD_STRUCT_CHANGED", kind: fieldType, families: []family{structMessage}, effects: typeEffects,
		Title:  "Struct, Value or ListValue that became another type, or the reverse",
		OneWay: "Struct reads the JSON of every message",
		says:   "{writer} {sends} {name} as {was}; {reader} reads {is} and {outcome}",
		fix:    "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "In ProtoJSON a Struct is any object, so it reads any message. In binary it is a map of names to values, which no other message is.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { N a = 1; }\nmessage N { int32 x = 1; }", New: "import \"google/protobuf/struct.proto\";\nmessage M { google.protobuf.Struct a = 1; }"},
	},
	{
		ID: "FIELD_ANY_CHANGED", kind: fieldType, families: []family{anyMessage}, effects: typeEffects,
		Title: "a field that became an Any, or the reverse",
		says:  "{writer} {sends} {name} as {was}; {reader} reads {is} and {outcome}",
		fix:   "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why:     "An Any is a type URL and bytes in binary, an object with \"@type\" in ProtoJSON.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { N a = 1; }\nmessage N { int32 x = 1; }", New: "import \"google/protobuf/any.proto\";\nmessage M { google.protobuf.Any a = 1; }"},
	},
	{
		ID: "FIELD_TYPE_CHANGED", kind: fieldType, families: []family{otherWire}, effects: typeEffects,
		Title: "a type with another wire type",
		says:  "{writer} {sends} {name} as {was}; {reader} reads {is}: the value {fate}",
		fix:   "keep the type", expand: newFieldExpand, contract: newFieldContract,
		Why: "A conforming reader keeps a value of the wrong wire type as an unknown field, and the field that both sides know stays unset; " +
			"some runtimes misparse it. Repeated numbers are packed, and taken for text or a message. ProtoJSON carries what reads as the other type.",
		Buf:     "FIELD_SAME_TYPE, FIELD_WIRE_COMPATIBLE_TYPE",
		Example: Example{Old: "message M { int32 a = 1; }", New: "message M { string a = 1; }"},
	},
	{
		ID: "MAP_KEY_TYPE_CHANGED", kind: mapKey,
		Title:  "a map with other keys",
		OneWay: "the wider type holds every key of the narrower one",
		effects: func(f *fact, enc Encoding, p Profile) []Effect {
			if enc.isJSON() {
				return jsonMapKey(f.wf, f.rf)
			}
			return binaryMapKey(f.wf, f.rf)
		},
		says:     "{writer} {sends} {name} as {was}; {reader} reads {is}: a key that it cannot read or tell from others {fate}",
		fix:      "keep the key type",
		expand:   newFieldExpand,
		contract: newFieldContract,
		Why:      "A key of the wrong wire type reads as the default, and entries with equal keys collapse into one; a truncated key may hit another's. In ProtoJSON keys are strings and are refused when they do not parse.",
		Buf:      "FIELD_SAME_TYPE",
		Example:  Example{Old: "message M { map<int64, string> a = 1; }", New: "message M { map<int32, string> a = 1; }"},
	},
	{
		ID: "MAP_VALUE_TYPE_CHANGED", kind: mapValue,
		Title:  "a map with other values",
		OneWay: "the wider type holds every value of the narrower one",
		effects: func(f *fact, enc Encoding, p Profile) []Effect {
			if enc.isJSON() {
				return jsonMapValue(f.wf, f.rf, enc, p)
			}
			return binaryMapValue(f.wf, f.rf, p)
		},
		says:     "{writer} {sends} {name} as {was}; {reader} reads {is}: a value that does not fit {fate}",
		fix:      "keep the value type",
		expand:   newFieldExpand,
		contract: newFieldContract,
		Why:      "A map entry is a message with fields key and value: a value of the wrong wire type leaves the key with a default value. Within a wire type the rules for fields hold.",
		Buf:      "FIELD_SAME_TYPE",
		Example:  Example{Old: "message M { map<string, int32> a = 1; }", New: "message M { map<string, string> a = 1; }"},
	},
}
