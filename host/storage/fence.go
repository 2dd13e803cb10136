package storage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Fence says which activation of an object may use its storage.
type Fence struct {
	Token   int64  // fencing token of the pin
	Session string // session of the host; no two sessions use one token
	N       int64  // counter of the session, a higher one for each claim
}

// ErrFenceFormat says that a string is not a fence.
var ErrFenceFormat = errors.New("malformed fence")

// String gives the form that ParseFence reads, "token.session.n". Stores of
// one's own keep it beside the value, see [Claim].
func (f Fence) String() string {
	return strconv.FormatInt(f.Token, 10) + "." + f.Session + "." + strconv.FormatInt(f.N, 10)
}

// ParseFence reads what String wrote; the empty string is the zero fence,
// which everyone may claim over.
func ParseFence(s string) (Fence, error) {
	if s == "" {
		return Fence{}, nil
	}
	first, last := strings.IndexByte(s, '.'), strings.LastIndexByte(s, '.')
	if first < 1 || last <= first {
		return Fence{}, fmt.Errorf("%w: %q", ErrFenceFormat, s)
	}
	token, err := strconv.ParseInt(s[:first], 10, 64)
	if err != nil {
		return Fence{}, fmt.Errorf("%w: token of %q", ErrFenceFormat, s)
	}
	n, err := strconv.ParseInt(s[last+1:], 10, 64)
	if err != nil {
		return Fence{}, fmt.Errorf("%w: counter of %q", ErrFenceFormat, s)
	}
	return Fence{Token: token, Session: s[first+1 : last], N: n}, nil
}

// MayClaim is the rule of a claim, where cur is the fence that stands:
//
//	token    session  n       claim
//	higher   any      any     yes
//	equal    equal    >= cur  yes (the same claim again, or a re-activation)
//	equal    equal    lower   no  (a claim that was delayed)
//	equal    other    any     no  (a token belongs to one session, ever)
//	lower    any      any     no
func (f Fence) MayClaim(cur Fence) bool {
	if f.Token != cur.Token {
		return f.Token > cur.Token
	}
	return f.Session == cur.Session && f.N >= cur.N
}
