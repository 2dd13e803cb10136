// Decodes messages with protobuf-es; see crossruntime_test.go. The argument is
// where it is installed. Lines in and out as reader.py has them.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.argv[2] + "/package.json");
const { createFileRegistry, create, fromBinary, fromJsonString, getExtension, hasExtension, isFieldSet, ScalarType } = require("@bufbuild/protobuf");
const { reflect } = require("@bufbuild/protobuf/reflect");
const { FileDescriptorSetSchema } = require("@bufbuild/protobuf/wkt");
const { BinaryWriter } = require("@bufbuild/protobuf/wire");

const hex = (bytes) => Buffer.from(bytes).toString("hex");

function number(v) {
  if (Number.isNaN(v)) return "nan";
  const b = Buffer.alloc(8);
  b.writeDoubleBE(v);
  return b.toString("hex");
}

function scalar(type, v) {
  switch (type) {
    case ScalarType.STRING:
      return hex(Buffer.from(v, "utf8"));
    case ScalarType.BYTES:
      return hex(v);
    case ScalarType.FLOAT:
      return number(Math.fround(v)); // JavaScript has no such type: what it would write
    case ScalarType.DOUBLE:
      return number(v);
    default:
      return String(v);
  }
}

function element(kind, field, v, registry) {
  switch (kind) {
    case "message":
      return message(v, registry);
    case "enum":
      return String(v);
    default:
      return scalar(field.scalar, v);
  }
}

function value(field, v, registry) {
  switch (field.fieldKind) {
    case "list":
      return [...v].map((x) => element(field.listKind, field, x, registry));
    case "map":
      return [...v]
        .map(([k, x]) => [scalar(field.mapKey, k), element(field.mapKind, field, x, registry)])
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    default:
      return element(field.fieldKind, field, v, registry);
  }
}

// wrap makes a message, list or map of an extension the same kind of thing as
// reflect gives for a field. Of a wrapper protobuf-es gives what is wrapped.
function extensionValue(ext, v, registry) {
  const boxed = (x) => (x?.$typeName ? x : create(ext.message, { value: x }));
  const wrap = (x) => (ext.message ? reflect(ext.message, boxed(x)) : x);
  if (ext.fieldKind === "list") return [...v].map((x) => element(ext.listKind, ext, wrap(x), registry));
  return element(ext.fieldKind, ext, wrap(v), registry);
}

function unknown(fields) {
  return fields
    .map((f) => hex(new BinaryWriter().tag(f.no, f.wireType).raw(f.data).finish()))
    .sort();
}

// message takes a ReflectMessage. Extensions are among the unknown fields of a
// message until somebody asks for them.
function message(r, registry) {
  const fields = {};
  for (const field of r.fields) {
    if (r.isSet(field)) fields[field.number] = value(field, r.get(field), registry);
  }
  let rest = r.getUnknown() ?? [];
  for (const type of registry) {
    if (type.kind === "extension" && type.extendee.typeName === r.desc.typeName && hasExtension(r.message, type)) {
      fields[type.number] = extensionValue(type, getExtension(r.message, type), registry);
      rest = rest.filter((f) => f.no !== type.number);
    }
  }
  return { fields, unknown: unknown(rest) };
}

function decode(registry, c) {
  const data = Buffer.from(c.bytes, "base64");
  const desc = registry.getMessage(c.type);
  const m =
    c.encoding === "binary"
      ? fromBinary(desc, data)
      : fromJsonString(desc, data.toString("utf8"), { registry, ignoreUnknownFields: c.encoding === "json-lenient" });
  return { id: c.id, value: message(reflect(desc, m), registry) };
}

const registries = new Map();
const out = [];
for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line);
  if (c.set) {
    try {
      registries.set(c.schema, createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(c.set, "base64"))));
    } catch (e) {
      registries.set(c.schema, { getMessage() { throw new Error("schema: " + e.message); } });
    }
    continue;
  }
  let answer;
  try {
    answer = decode(registries.get(c.schema), c);
  } catch (e) {
    answer = { id: c.id, error: `${e.name}: ${e.message}` };
  }
  out.push(JSON.stringify(answer));
}
process.stdout.write(out.join("\n") + "\n");
