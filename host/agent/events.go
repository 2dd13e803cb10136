package agent

import (
	"crypto/rand"
	"encoding/hex"
	"sync"

	"github.com/skewgate/skewgate/host"
)

// events are the running ones, by the id that the upstream sends back with
// each storage call. An id cannot be guessed and ends with its event.
type events struct {
	mu   sync.Mutex
	byID map[string]*host.Object
}

func newEvents() *events { return &events{byID: map[string]*host.Object{}} }

// begin gives a running event its id, until done is called.
func (e *events) begin(o *host.Object) (id string, done func()) {
	var b [16]byte
	rand.Read(b[:]) // never fails
	id = hex.EncodeToString(b[:])
	e.mu.Lock()
	defer e.mu.Unlock()
	e.byID[id] = o
	return id, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.byID, id)
	}
}

// object gives the object of a running event, nil if there is none.
func (e *events) object(id string) *host.Object {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byID[id]
}
