package owners

import "time"

// SessionState is the state of a host's session. Closed and dead are final.
type SessionState string

// Session states (ownership.md §1).
const (
	Live     SessionState = "live"
	Draining SessionState = "draining"
	Closed   SessionState = "closed"
	Dead     SessionState = "dead"
)

// Final says that a session in this state will never run an event again.
func (s SessionState) Final() bool { return s == Closed || s == Dead }

// Wanted is what an operator asks of a host; every renewal returns it.
type Wanted string

// What an operator may want of a host.
const (
	WantedNone   Wanted = ""
	WantedCordon Wanted = "cordon"
	WantedDrain  Wanted = "drain"
)

// Session is a host's registration. ID is 128 random bits in hex, new for
// each registration; Name is stable over restarts.
type Session struct {
	ID      string
	Nonce   string        // unique for each execution of renew
	Lease   time.Duration // lh of this session, immutable
	Addr    string        // host:port where its gate listens
	Name    string
	App     string
	Version string
	Preview string // name of the preview this host belongs to, "" for none
	Classes []string
	State   SessionState
	Ready   bool
	Wanted  Wanted

	// As the host said at its last renewal; advice, never safety.
	Objects  int // active objects
	InFlight int // running events
}

// PinState is the state of a pin record. An absent record is None.
type PinState string

// Pin states (ownership.md §1).
const (
	None     PinState = ""
	Owned    PinState = "owned"
	Released PinState = "released"
)

// Pin is the record "object → session, token".
type Pin struct {
	Key       Key
	State     PinState
	SID       string // session that owns it, or owned it last
	Token     int64  // microseconds-like fencing token, only ever grows
	Version   string // app version that last ran it
	Confirmed int64  // highest confirmed token
}
