package schema

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

var (
	errTooManyParts = errors.New("has more parts than any schema")
	errTooDeep      = fmt.Errorf("is nested more than %d deep", maxNesting)
)

// What a part costs in memory once it is decoded, and what all may cost. Two
// bytes make an empty message, so size alone bounds nothing.
const (
	messageCost = 160
	stringCost  = 32
	packedCost  = 8  // a byte of packed numbers, each of which may be one
	commaCost   = 16 // behind which there may be a number in JSON
	maxCost     = 1 << 30
)

// boundBinary judges a serialized set before it is decoded.
func boundBinary(data []byte) error {
	cost := 0
	return boundMessage((*descriptorpb.FileDescriptorSet)(nil).ProtoReflect().Descriptor(), data, 0, &cost)
}

func boundMessage(md protoreflect.MessageDescriptor, data []byte, depth int, cost *int) error {
	if depth > maxNesting {
		return errTooDeep
	}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return protowire.ParseError(n)
		}
		value := data[:n]
		data = data[n:]
		field := md.Fields().ByNumber(number)
		if kind != protowire.BytesType || field == nil {
			continue
		}
		inner, _ := protowire.ConsumeBytes(value)
		if *cost += stringCost; field.Message() != nil {
			*cost += messageCost
			if err := boundMessage(field.Message(), inner, depth+1, cost); err != nil {
				return err
			}
		} else if field.Kind() != protoreflect.StringKind && field.Kind() != protoreflect.BytesKind {
			*cost += packedCost * len(inner)
		}
		if *cost > maxCost {
			return errTooManyParts
		}
	}
	return nil
}

// boundJSON is the same for JSON: each brace may be a message, each pair of
// quotes a string, and what follows each comma a number.
func boundJSON(data []byte) error {
	if bytes.Count(data, []byte("{"))*messageCost+bytes.Count(data, []byte(`"`))/2*stringCost+bytes.Count(data, []byte(","))*commaCost > maxCost {
		return errTooManyParts
	}
	return nil
}

// checkImage bounds what linking would take long over.
func checkImage(name string, set *descriptorpb.FileDescriptorSet) error {
	switch {
	case len(set.File) == 0:
		return inputError(name, "", "has no files in it")
	case len(set.File) > maxFiles:
		return inputError(name, "", "has more than %d files", maxFiles)
	}
	for _, file := range set.File {
		for _, i := range slices.Concat(file.PublicDependency, file.WeakDependency) {
			if int(i) < 0 || int(i) >= len(file.Dependency) {
				return inputError(name, "", "%.80s has no import %d", file.GetName(), i)
			}
		}
		if !boundedNames(file.GetPackage(), file.MessageType, file.Extension, 0) {
			return inputError(name, "", "%.80s has names of more than %d bytes", file.GetName(), maxNameBytes)
		}
		for _, service := range file.Service {
			for _, m := range service.Method {
				if max(len(m.GetInputType()), len(m.GetOutputType())) > maxNameBytes {
					return inputError(name, "", "%.80s has names of more than %d bytes", file.GetName(), maxNameBytes)
				}
			}
		}
	}
	return nil
}

func boundedNames(scope string, messages []*descriptorpb.DescriptorProto, fields []*descriptorpb.FieldDescriptorProto, depth int) bool {
	if len(scope) > maxNameBytes {
		return false
	}
	for _, f := range fields {
		if max(len(f.GetTypeName()), len(f.GetExtendee())) > maxNameBytes {
			return false
		}
	}
	for _, m := range messages {
		inner := scope + "." + m.GetName()
		if !boundedNames(inner, m.NestedType, m.Field, depth+1) || !boundedNames(inner, nil, m.Extension, depth+1) {
			return false
		}
	}
	return true
}

// checkPublicImports refuses public imports that fan out: whoever follows
// them path by path, as protodesc does, follows each path there is.
func checkPublicImports(files []*descriptorpb.FileDescriptorProto) error {
	const limit = 10_000_000
	byName := map[string]*descriptorpb.FileDescriptorProto{}
	for _, f := range files {
		byName[f.GetName()] = f
	}
	cost := map[*descriptorpb.FileDescriptorProto]int{} // paths of public imports from a file
	var visit func(f *descriptorpb.FileDescriptorProto) int
	visit = func(f *descriptorpb.FileDescriptorProto) int {
		if c, ok := cost[f]; ok {
			return c
		}
		cost[f] = 0 // in a cycle, which linking refuses
		sum := 0
		for _, i := range f.PublicDependency {
			if int(i) < 0 || int(i) >= len(f.Dependency) {
				continue
			}
			if target := byName[f.Dependency[i]]; target != nil {
				sum = min(limit+1, sum+1+visit(target))
			}
		}
		cost[f] = sum
		return sum
	}
	total := 0
	for _, f := range files {
		for _, d := range f.Dependency {
			if target := byName[d]; target != nil {
				total = min(limit+1, total+1+visit(target))
			}
		}
		if total > limit {
			return fmt.Errorf("public imports fan out into more than %d paths", limit)
		}
	}
	return nil
}
