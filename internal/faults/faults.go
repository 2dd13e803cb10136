// Package faults is how tests switch protections of the host off, stop it at
// chosen points and record what it does. Only this module can import it, so
// nobody else can set the field of host.Options that takes a Host.
package faults

import (
	"context"
	"net"
	"time"

	"github.com/skewgate/skewgate/host/storage"
)

// Protection is one rule of the host that a negative control removes.
type Protection string

// Protections (ownership.md §8).
const (
	Lease     Protection = "lease"     // the gate looks at its lease
	Released  Protection = "released"  // the gate remembers which tokens are over
	Confirm   Protection = "confirm"   // a token is confirmed before it is believed
	Reconfirm Protection = "reconfirm" // active pins are confirmed when another store answers
	SID       Protection = "sid"       // the stamp's session must be this one
	Idle      Protection = "idle"      // a release waits until nothing runs
	Mark      Protection = "mark"      // from a release's mark on no message is delivered
	Fresh     Protection = "fresh"     // a new session keeps nothing of the old one
	Epoch     Protection = "epoch"     // the session ends when the store has lost its data
	Sent      Protection = "sent"      // a release is not aborted after its script was sent
	Again     Protection = "again"     // a release script is sent until it is answered
	Repair    Protection = "repair"    // a pin that nobody may use any more is given back
	Output    Protection = "output"    // answers of a stale instance are withheld
	N         Protection = "n"         // the fence's counter rises with each claim
)

// Point is a place where a test may stop the host.
type Point string

// Points.
const (
	GateToHandler  Point = "gate-handler"   // an event was admitted, its handler has not begun
	ConfirmToClaim Point = "confirm-claim"  // the pin was confirmed, storage has not been claimed
	BeforeRelease  Point = "before-release" // idle, the release script has not been sent
	AfterRelease   Point = "after-release"  // the release script was answered
	BeforeOutput   Point = "before-output"  // the handler is done, its answer has not been judged
	BeforeRenew    Point = "before-renew"   // s0 was read, the renewal has not been sent
)

// Kind says what a Record is about.
type Kind string

// Kinds of records.
const (
	Start    Kind = "start"    // the handler of an event begins
	End      Kind = "end"      // it is over
	Withheld Kind = "withheld" // its answer was withheld
	Refused  Kind = "refused"
	Lapsed   Kind = "lapsed"
)

// Record is one thing that a host did.
type Record struct {
	Kind    Kind
	Object  string // Class/id, as on the wire
	Session string
	Token   int64
	Reason  string
}

// Host is what a test may do to one host. A nil Host is a host without faults.
type Host struct {
	Off         map[Protection]bool
	ReleasedCap int                  // how many released objects are remembered
	Clock       func() time.Duration // instead of the boot-time clock
	Dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	Storage     func(storage.Driver) storage.Driver // between host and storage
	StorageTime time.Duration                       // how long a call to storage may take, else as the lease has it
	At          func(p Point, object string)        // may block; called without locks
	Trace       func(r Record)                      // called under the session's lock
}

// On says that protection p stands.
func (h *Host) On(p Protection) bool { return h == nil || !h.Off[p] }

// Reach stops at p for as long as the test wants.
func (h *Host) Reach(p Point, object string) {
	if h != nil && h.At != nil {
		h.At(p, object)
	}
}

// Record tells the test what happened.
func (h *Host) Record(r Record) {
	if h != nil && h.Trace != nil {
		h.Trace(r)
	}
}
