package schema

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// loadImage loads what is compiled already: a FileDescriptorSet, a buf image,
// a version of the registry.
func loadImage(ctx context.Context, in Input, opts Options) (*Set, error) {
	pushed, err := readImage(ctx, in, opts)
	if err != nil {
		return nil, err
	}
	manifest, err := readManifest(ctx, in.Text+" "+ManifestName, opts, func() ([]byte, error) {
		if len(pushed.Manifest) == 0 {
			return nil, fs.ErrNotExist
		}
		return pushed.Manifest, nil
	})
	if err != nil {
		return nil, err
	}
	s, err := FromImage(in.Text, pushed.DescriptorSet)
	if err != nil {
		return nil, err
	}
	s.Name, s.Manifest = opts.name(in), manifest
	return s, pushed.check(in, s)
}

// FromImage makes a Set of a serialized FileDescriptorSet or buf image, binary
// or JSON, gzip or not, that may come from anybody: within the bounds of any
// other input.
func FromImage(name string, data []byte) (*Set, error) {
	if len(data) > maxImageBytes {
		return nil, inputError(name, "", "is longer than %d MiB", maxImageBytes>>20)
	}
	set, imports, err := decodeImage(name, data)
	if err != nil {
		return nil, err
	}
	if err := completeImage(name, set); err != nil {
		return nil, err
	}
	s, err := FromDescriptorSet(name, set, func(p string) bool { return !imports[p] })
	if err != nil {
		return nil, inputError(name, "", "is not a valid descriptor set: %s", err)
	}
	return s, nil
}

// readImage gives what an image of any origin has; only one of the registry has
// more than its descriptors.
func readImage(ctx context.Context, in Input, opts Options) (p Pushed, err error) {
	switch in.Kind {
	case KindStdin:
		if opts.Stdin == nil {
			return p, inputError("-", "", "there is no standard input")
		}
		p.DescriptorSet, err = readStream(ctx, opts.Stdin, "-", maxImageBytes)
	case KindRegistry:
		return readRegistry(ctx, in, opts)
	default:
		p.DescriptorSet, err = readFile(ctx, in.Path, maxImageBytes)
	}
	return p, err
}

// decodeImage reads a set in binary or JSON, compressed or not, told apart by
// how it begins. imports are the files that a buf image marks as such.
func decodeImage(name string, data []byte) (set *descriptorpb.FileDescriptorSet, imports map[string]bool, err error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		zip, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, nil, inputError(name, "", "is not valid gzip: %s", err)
		}
		if data, err = readLimited(zip, name, maxImageBytes); err != nil {
			return nil, nil, err
		}
	}
	if trimmed := bytes.TrimLeft(data, "\xef\xbb\xbf \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		set, imports, err = decodeJSONImage(trimmed)
	} else {
		set, imports, err = decodeBinaryImage(data)
	}
	if err != nil {
		return nil, nil, inputError(name, "make one with: buf build -o FILE.binpb, or protoc --include_imports --descriptor_set_out=FILE.binpb",
			"is not a FileDescriptorSet or buf image: %s", strings.TrimPrefix(err.Error(), "proto: "))
	}
	return set, imports, checkImage(name, set)
}

func decodeBinaryImage(data []byte) (*descriptorpb.FileDescriptorSet, map[string]bool, error) {
	if err := boundBinary(data); err != nil {
		return nil, nil, err
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := (proto.UnmarshalOptions{RecursionLimit: maxNesting * 4}).Unmarshal(data, set); err != nil {
		return nil, nil, err
	}
	imports := map[string]bool{}
	for _, file := range set.File {
		if isImportMark(file.ProtoReflect().GetUnknown()) {
			imports[file.GetName()] = true
		}
	}
	return set, imports, nil
}

// isImportMark looks for buf.alpha.image.v1.ImageFileExtension.is_import in
// the unknown fields of a file (field 8042 of ImageFile,
// https://buf.build/docs/reference/images).
func isImportMark(unknown []byte) bool {
	marked := false
	for len(unknown) > 0 {
		number, kind, n := protowire.ConsumeTag(unknown)
		if n < 0 {
			return marked
		}
		unknown = unknown[n:]
		if number != 8042 || kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, unknown); n < 0 {
				return marked
			}
			unknown = unknown[n:]
			continue
		}
		extension, n := protowire.ConsumeBytes(unknown)
		if n < 0 {
			return marked
		}
		unknown = unknown[n:]
		marked = marked || boolField(extension, 1)
	}
	return marked
}

func boolField(message []byte, want protowire.Number) bool {
	value := false
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeField(message)
		if n < 0 {
			return value
		}
		if number == want && kind == protowire.VarintType {
			_, _, tag := protowire.ConsumeTag(message)
			v, _ := protowire.ConsumeVarint(message[tag:])
			value = v != 0
		}
		message = message[n:]
	}
	return value
}

// decodeJSONImage reads twice: options are extensions whose types may be in
// the image itself.
func decodeJSONImage(data []byte) (*descriptorpb.FileDescriptorSet, map[string]bool, error) {
	if err := boundJSON(data); err != nil {
		return nil, nil, err
	}
	set := new(descriptorpb.FileDescriptorSet)
	read := protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxNesting * 4}
	if err := read.Unmarshal(data, set); err != nil {
		return nil, nil, err
	}
	if bytes.Contains(data, []byte(`"[`)) {
		if err := completeImage("", set); err == nil {
			if linked, err := FromDescriptorSet("", set, nil); err == nil {
				read.Resolver = dynamicpb.NewTypes(linked.Files())
				again := new(descriptorpb.FileDescriptorSet)
				if read.Unmarshal(data, again) == nil {
					set = again
				}
			}
		}
	}
	set, err := reparse(set)
	if err != nil {
		return nil, nil, err
	}
	var marks struct {
		File []struct {
			Name string `json:"name"`
			Buf  struct {
				IsImport bool `json:"isImport"`
			} `json:"bufExtension"`
		} `json:"file"`
	}
	imports := map[string]bool{}
	if err := json.Unmarshal(data, &marks); err == nil {
		for _, f := range marks.File {
			imports[f.Name] = imports[f.Name] || f.Buf.IsImport
		}
	}
	return set, imports, nil
}

// completeImage adds well-known types that a set imports but does not have,
// and refuses other gaps.
func completeImage(name string, set *descriptorpb.FileDescriptorSet) error {
	have := map[string]bool{}
	for _, file := range set.File {
		have[file.GetName()] = true
	}
	for i := 0; i < len(set.File); i++ { // it grows
		for _, imp := range set.File[i].GetDependency() {
			if have[imp] {
				continue
			}
			file, err := compileWellKnown(imp)
			if errors.Is(err, fs.ErrNotExist) {
				return inputError(name, "rebuild it with imports: protoc --include_imports, or buf build",
					"%s imports %s, which is not in the set", set.File[i].GetName(), imp)
			}
			if err != nil {
				return err
			}
			have[imp] = true
			set.File = append(set.File, file)
		}
	}
	return nil
}
