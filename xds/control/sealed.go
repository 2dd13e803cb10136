package control

import (
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// message is a resource as it is built.
type message interface {
	proto.Message
	ValidateAll() error
}

// sealed is a resource that satisfies its own constraints and can be sent, and
// the hash by which a change is told.
type sealed struct {
	message message
	sum     [sha256.Size]byte
}

// resources of one type by name.
type resources map[string]sealed

func seal(m message) (sealed, error) {
	if err := m.ValidateAll(); err != nil {
		return sealed{}, fmt.Errorf("validate: %w", err)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return sealed{}, fmt.Errorf("marshal: %w", err)
	}
	return sealed{m, sha256.Sum256(data)}, nil
}
