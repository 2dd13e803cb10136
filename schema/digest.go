package schema

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Digest identifies the content of the set: the same for two inputs whose
// declarations are equal, whatever their comments, layout, the order of files
// and of the declarations at the top of a file. It is "sha256:" and hex.
//
// A rename, a moved file, an option or a reordered field makes another digest:
// different digests do not mean that anything breaks.
func (s *Set) Digest() (string, error) {
	set := s.DescriptorSet()
	sum := sha256.New()
	for _, file := range set.File {
		sortFile(file)
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(file)
		if err != nil {
			return "", fmt.Errorf("digest of %s: %w", file.GetName(), err)
		}
		fmt.Fprintf(sum, "%d\n", len(data))
		sum.Write(data)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// sortFile puts what has no order into one.
func sortFile(file *descriptorpb.FileDescriptorProto) {
	order := make([]string, len(file.Dependency))
	copy(order, file.Dependency)
	slices.Sort(order)
	for i, public := range file.PublicDependency { // indexes into the order that was
		file.PublicDependency[i] = int32(slices.Index(order, file.Dependency[public]))
	}
	for i, weak := range file.WeakDependency {
		file.WeakDependency[i] = int32(slices.Index(order, file.Dependency[weak]))
	}
	file.Dependency = order
	slices.Sort(file.PublicDependency)
	slices.Sort(file.WeakDependency)
	slices.Sort(file.OptionDependency)
	slices.SortFunc(file.MessageType, byName)
	slices.SortFunc(file.EnumType, byName)
	slices.SortFunc(file.Service, byName)
	slices.SortFunc(file.Extension, byName)
	for _, service := range file.Service {
		slices.SortFunc(service.Method, byName)
	}
}

func byName[T interface{ GetName() string }](a, b T) int {
	return cmp.Compare(a.GetName(), b.GetName())
}
