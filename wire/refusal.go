package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Reasons with which a gate refuses (ownership.md §4).
const (
	ReasonReleased  = "released"  // the token, or a higher one, was given up here
	ReasonReleasing = "releasing" // the object is being given up; ask again
	ReasonLease     = "lease"     // this host's lease has passed
	ReasonSession   = "session"   // the stamp names another session, or this one is closing
	ReasonStale     = "stale"     // the storage or the store knows a newer owner
	ReasonAuth      = "auth"      // the stamp is missing or wrong
	ReasonTLS       = "tls"       // the gate serves TLS and was spoken to without
)

// Refusal is what a gate says in HeaderRefusal when it refuses a request.
// Nothing of the request was executed.
type Refusal struct {
	Reason string
	Token  int64 // the highest token the gate knows for the object, 0 if none
}

// ErrRefusal says that a header is not a refusal.
var ErrRefusal = errors.New("malformed refusal")

// String gives the header's value, "reason=released; token=17".
func (r Refusal) String() string {
	return "reason=" + r.Reason + "; token=" + strconv.FormatInt(r.Token, 10)
}

// ParseRefusal reads the header's value. Unknown parameters are ignored, so
// that a gate may say more one day; an unknown reason is kept.
func ParseRefusal(s string) (Refusal, error) {
	var r Refusal
	for part := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return Refusal{}, fmt.Errorf("%w: %q", ErrRefusal, s)
		}
		switch name {
		case "reason":
			r.Reason = value
		case "token":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return Refusal{}, fmt.Errorf("%w: token %q", ErrRefusal, value)
			}
			r.Token = n
		}
	}
	if !knownForm(r.Reason) {
		return Refusal{}, fmt.Errorf("%w: reason %q", ErrRefusal, r.Reason)
	}
	return r, nil
}

// knownForm accepts short lower-case words, so that a reason can be a metric's label.
func knownForm(reason string) bool {
	if reason == "" || len(reason) > 32 {
		return false
	}
	for i := 0; i < len(reason); i++ {
		if c := reason[i]; (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}
