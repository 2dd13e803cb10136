"""Decodes messages with Python's protobuf; see crossruntime_test.go.

Each line on stdin is {"schema": name, "set": base64} or
{"id", "schema", "type", "encoding", "bytes"}; for each of the latter a line on
stdout: {"id", "error"} or {"id", "value"}.
"""
import base64
import json
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, unknown_fields
from google.protobuf.descriptor import FieldDescriptor as F

INTEGERS = {F.CPPTYPE_INT32, F.CPPTYPE_INT64, F.CPPTYPE_UINT32, F.CPPTYPE_UINT64, F.CPPTYPE_ENUM}


def number(v):
    v = float(v)
    return "nan" if v != v else struct.pack(">d", v).hex()


def scalar(field, v):
    if field.cpp_type in INTEGERS:
        return str(int(v))
    if field.cpp_type == F.CPPTYPE_BOOL:
        return "true" if v else "false"
    if field.cpp_type in (F.CPPTYPE_FLOAT, F.CPPTYPE_DOUBLE):
        return number(v)
    if field.type == F.TYPE_STRING:
        # What is not UTF-8, where that is allowed, comes as bytes.
        return (v if isinstance(v, bytes) else v.encode()).hex()
    if field.type == F.TYPE_BYTES:
        return bytes(v).hex()
    return message(v)


def is_map(field):
    return field.type == F.TYPE_MESSAGE and field.message_type.GetOptions().map_entry


def value(field, v):
    if is_map(field):
        key, val = (field.message_type.fields_by_number[n] for n in (1, 2))
        # Iterating a map of messages gives keys; indexing makes no entry that is there already.
        return sorted(([scalar(key, k), scalar(val, v[k])] for k in v), key=json.dumps)
    if field.is_repeated:
        return [scalar(field, x) for x in v]
    return scalar(field, v)


def varint(n):
    out = b""
    n &= (1 << 64) - 1
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def unknown(fields):
    """What was not known, each field as its bytes would be written."""
    out = []
    for f in fields:
        tag = varint(f.field_number << 3 | f.wire_type)
        if f.wire_type == 0:
            out.append(tag + varint(f.data))
        elif f.wire_type == 1:
            out.append(tag + struct.pack("<Q", f.data))
        elif f.wire_type == 5:
            out.append(tag + struct.pack("<I", f.data))
        elif f.wire_type == 2:
            out.append(tag + varint(len(f.data)) + f.data)
        else:
            out.append(tag + b"".join(bytes.fromhex(x) for x in unknown(f.data)) + varint(f.field_number << 3 | 4))
    return [x.hex() for x in out]


def message(m):
    return {
        "fields": {str(field.number): value(field, v) for field, v in m.ListFields()},
        "unknown": sorted(unknown(unknown_fields.UnknownFieldSet(m))),
    }


def decode(pool, case):
    data = base64.b64decode(case["bytes"])
    m = message_factory.GetMessageClass(pool.FindMessageTypeByName(case["type"]))()
    if case["encoding"] == "binary":
        m.ParseFromString(data)
    else:
        json_format.Parse(data, m, ignore_unknown_fields=case["encoding"] == "json-lenient", descriptor_pool=pool)
    return {"id": case["id"], "value": message(m), "initialized": m.IsInitialized()}


def main():
    pools = {}
    for line in sys.stdin:
        case = json.loads(line)
        if "set" in case:
            files = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(case["set"]))
            pool = descriptor_pool.DescriptorPool()
            for file in files.file:
                pool.Add(file)
            pools[case["schema"]] = pool
            # Extensions are known to a message once their file's messages are made.
            message_factory.GetMessageClassesForFiles([file.name for file in files.file], pool)
            continue
        try:
            answer = decode(pools[case["schema"]], case)
        except Exception as e:  # noqa: BLE001: whatever it raises is its answer
            answer = {"id": case["id"], "error": type(e).__name__ + ": " + str(e)}
        print(json.dumps(answer))


main()
