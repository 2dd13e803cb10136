package compat

// shapeRules: single, repeated, map.
var shapeRules = []Rule{
	{
		ID: "FIELD_CARDINALITY_CHANGED", kind: fieldShape, families: []family{listShape}, effects: typeEffects,
		Title:    "a single field that became repeated, or the reverse",
		OneWay:   "a list reads one value as a list of one (unless JSON is spoken)",
		says:     "{writer} {sends} {name} as {was}; {reader} reads {is}: what was written {fate}",
		fix:      "write at most one value, unpacked, until every reader has the list",
		expand:   "add a repeated field under a new number; write both, read the new one or else the old one",
		contract: newFieldContract,
		Why: "A list reads a single value. A single field keeps the last of many; messages merge. Packed numbers are another wire type than one number, so not even one arrives. " +
			"ProtoJSON refuses both: an array is no value.",
		Buf:     "FIELD_SAME_CARDINALITY, FIELD_WIRE_COMPATIBLE_CARDINALITY",
		Example: Example{Old: "message M { string a = 1; }", New: "message M { repeated string a = 1; }"},
	},
	{
		ID: "FIELD_MAP_CHANGED", kind: fieldShape, families: []family{mapShape}, effects: typeEffects,
		Title:    "a map that became another kind of field, or the reverse",
		OneWay:   "a list of entries reads every map (unless JSON is spoken)",
		says:     "{writer} {sends} {name} as {was}; {reader} reads {is}: what was written {fate}",
		fix:      "never write two entries with one key",
		expand:   "add a field of the new form under a new number; write both, read the new one or else the old one",
		contract: newFieldContract,
		Why:      "In binary a map is a repeated message of key and value. Read as a map, of entries with one key the last wins; read as a single message, of all entries the last. ProtoJSON writes a map as an object.",
		Buf:      "FIELD_SAME_CARDINALITY; WIRE is silent",
		Example: Example{Old: "message M { map<string, int32> a = 1; }",
			New: "message M { repeated Entry a = 1; message Entry { string key = 1; int32 value = 2; } }"},
	},
}
