// Package history records what clients of objects were told, and decides
// whether one instance per object could have told it.
//
// An object is a list. A client appends a value that nobody else appends, and
// is told the whole list; or it reads the list. An operation has one of three
// outcomes:
//
//	OK       it happened, between its call and its return
//	Failed   it did not happen and never will: what the errors that may be sent again promise
//	Unknown  it happened at some time after its call, or never
//
// Check decides linearizability for each object by itself, which is enough:
// the property is local (Herlihy and Wing, 1990). It counts apart what breaks
// it in the plainest way: acknowledged values that are missing in the end,
// values that are there twice, and values of failed appends.
package history

import (
	"sync"
	"time"
)

// Outcome is what a client knows of an operation.
type Outcome int

// Outcomes.
const (
	Unknown Outcome = iota
	OK
	Failed
)

// Op is one operation of one client.
type Op struct {
	Client  int
	Object  string
	Value   int    // appended; 0 is a read
	Via     string // whom the client asked and who answered, for people
	Call    time.Duration
	Return  time.Duration // of no meaning when the outcome is unknown
	Outcome Outcome
	List    []int // when OK: the list after the operation
}

// Recorder collects operations of many clients.
type Recorder struct {
	start time.Time

	mu    sync.Mutex
	ops   []Op
	value int
}

// NewRecorder starts the clock of a history.
func NewRecorder() *Recorder { return &Recorder{start: time.Now()} }

// Now is the time on the history's clock.
func (r *Recorder) Now() time.Duration { return time.Since(r.start) }

// Value gives a value that nobody appended before.
func (r *Recorder) Value() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value++
	return r.value
}

// Add adds an operation that has returned, or of which nobody will hear again.
func (r *Recorder) Add(op Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}

// Ops gives what was recorded.
func (r *Recorder) Ops() []Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Op(nil), r.ops...)
}
