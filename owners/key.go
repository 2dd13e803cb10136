package owners

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// MaxIDLen is the greatest length of an object id in bytes, after decoding.
const MaxIDLen = 512

// ErrBadKey says that a string is not a valid object key.
var ErrBadKey = errors.New("invalid object key")

// Key names one object: a class and an id within it.
type Key struct {
	Class string
	ID    string // 1 to 512 bytes, no control characters
}

// String gives the wire form Class/percent-encoded-id.
func (k Key) String() string { return k.Class + "/" + url.PathEscape(k.ID) }

// Validate says why k is not a usable key, or nil.
func (k Key) Validate() error {
	switch {
	case k.Class == "":
		return fmt.Errorf("%w: no class", ErrBadKey)
	case strings.ContainsAny(k.Class, "/{}: \t\r\n"):
		return fmt.Errorf("%w: class %q has a character that is not allowed", ErrBadKey, k.Class)
	case k.ID == "":
		return fmt.Errorf("%w: the id is empty", ErrBadKey)
	case len(k.ID) > MaxIDLen:
		return fmt.Errorf("%w: the id has %d bytes, at most %d are allowed", ErrBadKey, len(k.ID), MaxIDLen)
	}
	for i := 0; i < len(k.ID); i++ {
		if c := k.ID[i]; c < 0x20 || c == 0x7f {
			return fmt.Errorf("%w: the id has the control character 0x%02x at byte %d", ErrBadKey, c, i)
		}
	}
	return nil
}

// ParseKey reads the wire form and validates it.
func ParseKey(s string) (Key, error) {
	class, esc, ok := strings.Cut(s, "/")
	if !ok {
		return Key{}, fmt.Errorf("%w: %q is not Class/id", ErrBadKey, s)
	}
	id, err := url.PathUnescape(esc)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %v", ErrBadKey, err)
	}
	k := Key{Class: class, ID: id}
	return k, k.Validate()
}
