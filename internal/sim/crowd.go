package sim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/wire"
)

// watchActive is I8 of hosts that are crowded: it asks each what is active there,
// and counts how often one object has made room for another.
func (w *world) watchActive() {
	const every = 5 * time.Millisecond
	before := map[*instance][]string{}
	for !w.over.Load() {
		time.Sleep(every)
		for _, m := range w.machines {
			if i := m.running(); i != nil && !i.node.isDead() {
				now := i.active()
				w.check.actives(i, before[i], now)
				before[i] = now
			}
		}
	}
}

// active asks the host itself, as operators do: the objects that are active, by name.
func (i *instance) active() (objects []string) {
	r := httptest.NewRequest(http.MethodGet, host.PathActive, nil)
	r.Header.Set(wire.HeaderSession, "anybody")
	r.Header.Set(wire.HeaderAuth, i.w().signer.Sign("", "anybody", 0, time.Now()))
	rec := httptest.NewRecorder()
	i.h.ServeHTTP(rec, r)
	var a host.Active
	if rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &a) != nil {
		return nil // not registered yet
	}
	for _, o := range a.Objects {
		objects = append(objects, o.Object)
	}
	return objects
}

// actives takes what is active at a host now, and what was a moment ago.
func (c *check) actives(i *instance, before, now []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(now) > i.most {
		c.breaks("I8", "%d objects are active at %s, %d may be: %v", len(now), i.m.name, i.most, now)
	}
	if len(before) == i.most && len(now) == i.most && !slices.Equal(before, now) {
		c.stats.Turns++
	}
}
