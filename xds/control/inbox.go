package control

import (
	"context"
	"reflect"
	"sync"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/mesh"
	"github.com/skewgate/skewgate/owners"
)

type (
	sessionList   = []owners.Session
	deploymentMap = map[string][]routing.Weighted
	matrixList    = routing.Matrix
)

// inbox gathers what the sources say into an Intent and wakes its reader when
// that changes. Nothing is given out before every source has spoken.
type inbox struct {
	mu     sync.Mutex
	intent Intent
	heard  struct{ sessions, deployments, matrix bool }
	dirty  bool
	wake   chan struct{} // of one
}

func newInbox(m *mesh.Mesh) *inbox {
	return &inbox{intent: Intent{Classes: m.Classes}, dirty: true, wake: make(chan struct{}, 1)}
}

func (b *inbox) put(change func() bool) {
	b.mu.Lock()
	changed := change()
	b.dirty = b.dirty || changed
	wake := b.dirty && b.complete()
	b.mu.Unlock()
	if wake {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

func (b *inbox) complete() bool { return b.heard.sessions && b.heard.deployments && b.heard.matrix }

func (b *inbox) mesh(m *mesh.Mesh) {
	b.put(func() bool {
		changed := !reflect.DeepEqual(b.intent.Classes, m.Classes)
		b.intent.Classes = m.Classes
		return changed
	})
}

func (b *inbox) sessions(list sessionList) {
	b.put(func() bool {
		changed := !sameHosts(b.intent.Sessions, list)
		b.intent.Sessions, b.heard.sessions = list, true
		return changed
	})
}

func (b *inbox) deployments(d deploymentMap) {
	b.put(func() bool {
		changed := !reflect.DeepEqual(b.intent.Deployments, d)
		b.intent.Deployments, b.heard.deployments = d, true
		return changed
	})
}

func (b *inbox) matrix(m matrixList) {
	b.put(func() bool {
		changed := !reflect.DeepEqual(b.intent.Matrix, m)
		b.intent.Matrix, b.heard.matrix = m, true
		return changed
	})
}

// next waits for a change; ok is false when ctx ended.
func (b *inbox) next(ctx context.Context) (i Intent, ok bool) {
	select {
	case <-ctx.Done():
		return Intent{}, false
	case <-b.wake:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dirty = false
	return b.intent, true
}

// sameHosts compares what a table has of sessions: a renewal alone is no change.
func sameHosts(a, b sessionList) bool {
	if len(a) != len(b) {
		return false
	}
	at := make(map[string]owners.Session, len(a))
	for _, s := range a {
		at[s.ID] = s
	}
	for _, s := range b {
		old, ok := at[s.ID]
		if !ok || old.State.Final() != s.State.Final() || !reflect.DeepEqual(host(old), host(s)) {
			return false
		}
	}
	return true
}
