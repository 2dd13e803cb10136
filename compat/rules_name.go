package compat

import "slices"

// nameRules: fields that both sides have, under another number, name or key.
var nameRules = []Rule{
	{
		ID: "FIELD_RENUMBERED", kind: fieldMoved,
		Title: "a field that keeps its name and changes its number",
		effects: func(f *fact, enc Encoding, p Profile) []Effect {
			if f.at.peer != nil { // its number is something else's now
				return reusedEffects(f, enc)
			}
			return []Effect{Loss}
		},
		says:     "{writer} {sends} {name} as field {n}; {reader} has {name} as field {m}: it {fate}",
		fix:      "give the field its old number back",
		expand:   "add the field under the new number beside the old one; write both, read the new one or else the old one",
		contract: "stop writing and reading the old number; reserve it",
		Why: "Binary knows numbers only. Both sides call the field the same, and the value does not arrive. " +
			"ProtoJSON knows names only and does not notice.",
		Buf:     "FIELD_NO_DELETE, or FIELD_SAME_NAME",
		Example: Example{Old: "message M { string a = 1; }", New: "message M { string a = 2; }"},
	},
	{
		ID: "FIELDS_SWAPPED", kind: fieldsSwapped,
		Title:    "two fields that swapped their numbers",
		effects:  swappedEffects,
		says:     "{writer} {sends} {name} as field {n}, which is {other} to {reader}: it {fate}",
		fix:      "give both fields their old numbers back",
		expand:   "add new fields under unused numbers; write both forms, read the new one or else the old one",
		contract: "remove the old fields; reserve their numbers",
		Why:      "Binary knows numbers only: each value arrives under the other's name, silently where the types allow it. Members of a oneof choose the wrong case.",
		Buf:      "FIELD_SAME_NAME (not in WIRE)",
		Example:  Example{Old: "message M { string a = 1; string b = 2; }", New: "message M { string a = 2; string b = 1; }"},
	},
	{
		ID: "FIELD_NUMBER_REUSED", kind: fieldReused,
		Title:    "a number that now belongs to another field",
		effects:  func(f *fact, enc Encoding, p Profile) []Effect { return reusedEffects(f, enc) },
		says:     "{writer} {sends} {name} ({was}) as field {n}, which is {other} ({is}) to {reader}: it {fate}",
		fix:      "give the new field a number that was never used, and reserve the old one",
		expand:   "give the new field an unused number",
		contract: "reserve number {n} and the name of the field that is gone",
		Why: "A number must mean one thing for as long as any writer, reader or stored byte of it exists. " +
			"Where the wire types agree, the value arrives under the new name; where they do not, conforming decoders keep it as unknown, and some runtimes misparse it.",
		Buf:     "FIELD_SAME_TYPE, FIELD_SAME_NAME",
		Example: Example{Old: "message M { int32 cents = 1; }", New: "message M { int64 micros = 1; }"},
	},
	{
		ID: "FIELD_RENAMED", kind: fieldRenamed,
		Title:    "a field that keeps its number and changes its name",
		effects:  by("", Fails, Loss),
		says:     "{writer} {sends} {name} under the key {key}; {reader} calls it {other} and {outcome}",
		fix:      "keep the JSON name: [json_name = \"{oldkey}\"] on the renamed field lets both sides read the old key",
		expand:   "rename with [json_name = \"{oldkey}\"]: what is written does not change",
		contract: "nothing: the key is the contract; keep it",
		Why:      "Binary knows numbers only and does not notice. ProtoJSON knows names only: a reader accepts its own JSON name and its own proto name, nothing else.",
		Buf:      "FIELD_SAME_NAME, FIELD_SAME_JSON_NAME",
		Example:  Example{Old: "message M { string a = 1; }", New: "message M { string b = 1; }"},
	},
	{
		ID: "FIELD_JSON_NAME_CHANGED", kind: fieldKeyChanged,
		Title:    "a field whose JSON name changed",
		OneWay:   "parsers accept the proto name too, so a key that equals it is read by both sides",
		effects:  by("", Fails, Loss),
		says:     "{writer} {sends} {name} under the key {key}; {reader} reads it under {otherkey} and {outcome}",
		fix:      "keep [json_name = \"{oldkey}\"]",
		expand:   "keep the old json_name",
		contract: "nothing: the key is the contract; keep it",
		Why:      "A ProtoJSON writer uses the JSON name; a reader accepts its JSON name and its proto name.",
		Buf:      "FIELD_SAME_JSON_NAME",
		Example:  Example{Old: "message M { string a = 1; }", New: "message M { string a = 1 [json_name = \"x\"]; }"},
	},
	{
		ID: "FIELD_JSON_KEY_TAKEN", kind: fieldKeyTaken,
		Title: "a JSON key that is another field's on the other side",
		effects: func(f *fact, enc Encoding, p Profile) []Effect {
			return []Effect{Fails, Value, Loss, Presence, Drop}
		},
		says:     "{writer} {sends} {name} under the key {key}, which is {other} to {reader}: it {fate}",
		fix:      "give each field the JSON name that it had",
		expand:   "take the json_name back; a new field gets a key that no field ever had",
		contract: "nothing: the key is the contract; keep it",
		Why: "A ProtoJSON reader knows keys only: it takes its own JSON name and its own proto name of each field. " +
			"A key that went from one field to another brings the value under the other's name, silently where the types allow it.",
		Buf: "FIELD_SAME_JSON_NAME",
		Example: Example{Old: "message M { string a = 1 [json_name = \"x\"]; string b = 2 [json_name = \"y\"]; }",
			New: "message M { string a = 1 [json_name = \"y\"]; string b = 2 [json_name = \"x\"]; }"},
	},
	{
		ID: "FIELD_JSON_KEYS_COLLIDE", kind: keyCollision,
		Title:   "two JSON keys of one version that mean one field to the other",
		OneWay:  "the other version writes one key for the field",
		effects: always(Fails),
		says:    "{writer} {sends} two keys that both mean {other} to {reader}, which {outcome}",
		fix:     "do not give one field a JSON name that was another field's",
		expand:  "take the json_name back",
		Why:     "A ProtoJSON reader refuses an object that sets one field twice.",
		Buf:     "FIELD_SAME_JSON_NAME",
		Example: Example{Old: "message M { string a = 1; string b = 2; }", New: "message M { string a = 1 [json_name = \"b\"]; }"},
	},
	{
		ID: "EXTENSION_FIELD_CHANGED", kind: fieldExtension,
		Title:    "an extension that became a regular field, or the reverse",
		effects:  by("", Fails, Loss),
		says:     "{writer} {sends} {name} under the key {key}; {reader} reads it under {otherkey} and {outcome}",
		fix:      "keep the extension while JSON is spoken",
		expand:   "add the field under a number of its own; write both",
		contract: "remove the extension",
		Why:      "In binary an extension is a field like any other. In ProtoJSON its key is its full name in brackets.",
		Buf:      "EXTENSION_NO_DELETE",
		Example: Example{Old: "message M { extensions 100 to 200; }\nextend M { string note = 100; }",
			New: "message M { string note = 100; }"},
	},
}

// swappedEffects is what becomes of either of two fields: each lands in the
// other, where its wire type may or may not be taken.
func swappedEffects(f *fact, enc Encoding, p Profile) []Effect {
	back := *f
	back.wf, back.at.peer = f.group[1], f.at.meant
	effects := append(reusedEffects(f, enc), reusedEffects(&back, enc)...)
	slices.SortStableFunc(effects, func(a, b Effect) int { return a.harm() - b.harm() })
	return slices.Compact(effects)
}

// reusedEffects is what becomes of a value that lands under another name.
func reusedEffects(f *fact, enc Encoding) []Effect {
	switch {
	case enc == JSON:
		return []Effect{Fails}
	case enc == Lenient:
		return []Effect{Drop}
	case f.at.peer == nil || !accepts(f.at.peer, writtenWire(f.wf)):
		return []Effect{Loss, Presence}
	}
	return append([]Effect{Value}, garbage...)
}
