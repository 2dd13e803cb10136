package routing

import (
	"errors"
	"fmt"
	"strings"
)

// ErrOverride says that an override header cannot be read.
var ErrOverride = errors.New("malformed version override")

// maxOverrides bounds how many apps one header may name.
const maxOverrides = 32

// ParseOverride finds app's version in a Skewgate-Version-Overrides header, a
// structured-field dictionary (RFC 9651) of strings or tokens:
//
//	shop="v42", billing=v7
//
// ok is false when the header does not name app. A name given twice counts as
// its last value, as in RFC 9651. The whole header is checked, so that a
// mistake is answered and never ignored.
func ParseOverride(header, app string) (version string, ok bool, err error) {
	rest := strings.Trim(header, " ")
	for n := 0; rest != ""; n++ {
		if n == maxOverrides {
			return "", false, fmt.Errorf("%w: more than %d entries", ErrOverride, maxOverrides)
		}
		var name, value string
		if name, value, rest, err = overrideEntry(rest); err != nil {
			return "", false, err
		}
		if name == app {
			version, ok = value, true
		}
	}
	return version, ok, nil
}

// overrideEntry cuts one name=value and the comma after it.
func overrideEntry(s string) (name, value, rest string, err error) {
	name, s, found := strings.Cut(s, "=")
	if !found || name == "" || strings.ContainsAny(name, "\" \t,;") {
		return "", "", "", fmt.Errorf("%w: want name=\"version\"", ErrOverride)
	}
	if strings.HasPrefix(s, `"`) {
		if value, s, err = quoted(s[1:]); err != nil {
			return "", "", "", err
		}
	} else {
		end := strings.IndexAny(s, ", \t;\"")
		if end < 0 {
			end = len(s)
		}
		value, s = s[:end], s[end:]
	}
	if value == "" {
		return "", "", "", fmt.Errorf("%w: no version for %s", ErrOverride, name)
	}
	s = strings.TrimLeft(s, " \t")
	if s == "" {
		return name, value, "", nil
	}
	if s[0] != ',' {
		return "", "", "", fmt.Errorf("%w: %q after the version of %s", ErrOverride, s[0], name)
	}
	if s = strings.TrimLeft(s[1:], " \t"); s == "" {
		return "", "", "", fmt.Errorf("%w: comma at the end", ErrOverride)
	}
	return name, value, s, nil
}

// quoted reads the inside of a structured-field string, after its opening quote.
func quoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], nil
		case c == '\\':
			i++
			if i == len(s) || (s[i] != '"' && s[i] != '\\') {
				return "", "", fmt.Errorf("%w: bad escape", ErrOverride)
			}
			b.WriteByte(s[i])
		case c < 0x20 || c > 0x7e:
			return "", "", fmt.Errorf("%w: character 0x%02x", ErrOverride, c)
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("%w: string does not end", ErrOverride)
}
