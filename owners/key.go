package owners

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	// MaxIDLen is the greatest length of an object id in bytes, after decoding.
	MaxIDLen = 512
	// MaxClassLen is the greatest length of a class name in bytes.
	MaxClassLen = 128
)

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
	if err := validClass(k.Class); err != nil {
		return err
	}
	switch {
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

// Characters that a class may not have: separators of keys and lists, and what SCAN or a percent decoder would read.
const notInClass = "/{}:*?[]\\%\""

func validClass(c string) error {
	switch {
	case c == "":
		return fmt.Errorf("%w: no class", ErrBadKey)
	case len(c) > MaxClassLen:
		return fmt.Errorf("%w: the class has %d bytes, at most %d are allowed", ErrBadKey, len(c), MaxClassLen)
	case !utf8.ValidString(c):
		return fmt.Errorf("%w: class %q is not UTF-8", ErrBadKey, c)
	}
	for _, r := range c {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(notInClass, r) {
			return fmt.Errorf("%w: class %q has a character that is not allowed: %q", ErrBadKey, c, r)
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

// Names of records. Every key begins with the tag of its partition, so that
// all that one script checks lives in one slot. There is one partition.
const (
	prefix      = "{p0}:"
	pinPrefix   = prefix + "pin:"
	sessPrefix  = prefix + "sess:"
	gwPrefix    = prefix + "gw:"
	keyEpoch    = prefix + "epoch"
	keySessions = prefix + "sessions" // those that may run events; what watchers read
	keyEnded    = prefix + "ended"    // final ones, by the time of their end
	keyMeta     = prefix + "meta"
	keyWatchers = prefix + "gws"
)

func pinKey(k Key) string          { return pinPrefix + k.String() }
func sessionKey(sid string) string { return sessPrefix + sid }
