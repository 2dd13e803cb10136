package wire

import (
	"net/http"
	"strings"
)

// trustedNames are the names, after "skewgate-", that only a gateway or a host
// may set. A client's are removed wherever they stand. "pin" is the header by
// which a picker tells Envoy the host.
var trustedNames = [...]string{"object", "session", "token", "auth", "refuse", "refusal", "event", "activation", "pin"}

// TrustedNames lists the header names that are removed from what clients send,
// in lower case and with their "x-" forms. Underscore forms are removed too;
// StripPattern covers all.
func TrustedNames() []string {
	out := make([]string, 0, 2*len(trustedNames))
	for _, n := range trustedNames {
		out = append(out, "skewgate-"+n, "x-skewgate-"+n)
	}
	return out
}

// StripPattern is the same list as an RE2 expression over lower-case names,
// for Envoy's configuration: with or without "x-", and with an underscore for
// any hyphen (a CGI-like host reads both as one name).
func StripPattern() string {
	return `^(x[-_])?skewgate[-_](` + strings.Join(trustedNames[:], "|") + `)$`
}

// Trusted says that name, in any case and with underscores for hyphens, is one
// that a client may not set. It does not allocate.
func Trusted(name string) bool {
	rest, ok := afterPrefix(name)
	if !ok {
		return false
	}
	for _, t := range trustedNames {
		if equalName(rest, t) {
			return true
		}
	}
	return false
}

// Strip removes trusted names from a client's header or trailer, and every
// spelling of HeaderCaller except the canonical one: a gateway decides about
// that one, and a host that folds underscores must not see another beside it.
func Strip(h http.Header) {
	for name := range h {
		rest, ok := afterPrefix(name)
		if !ok {
			continue
		}
		if Trusted(name) || (name != HeaderCaller && equalName(rest, "caller")) {
			delete(h, name)
		}
	}
}

// afterPrefix cuts (x-)skewgate- in any spelling.
func afterPrefix(name string) (rest string, ok bool) {
	const p, xp = "skewgate-", "x-skewgate-"
	if len(name) > len(p) && equalName(name[:len(p)], p) {
		return name[len(p):], true
	}
	if len(name) > len(xp) && equalName(name[:len(xp)], xp) {
		return name[len(xp):], true
	}
	return "", false
}

// equalName compares with a lower-case name, folding case and underscores.
func equalName(a, lower string) bool {
	if len(a) != len(lower) {
		return false
	}
	for i := 0; i < len(a); i++ {
		c := a[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
