package host_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// active asks a host what is active there.
func (m *mesh) active(addr, sid string) (host.Active, error) {
	var a host.Active
	r, err := http.NewRequestWithContext(m.t.Context(), "GET", "http://"+addr+host.PathActive, nil)
	if err != nil {
		return a, err
	}
	r.Header.Set(wire.HeaderSession, sid)
	r.Header.Set(wire.HeaderAuth, m.signer.Sign("", sid, 0, time.Now()))
	res, err := m.client.Do(r)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		return a, &statusError{res.StatusCode}
	}
	return a, json.NewDecoder(res.Body).Decode(&a)
}

type statusError struct{ status int }

func (e *statusError) Error() string { return "status " + strconv.Itoa(e.status) }

// activeOf gives what the owner of k says of it.
func activeOf(m *mesh, k owners.Key) (host.ActiveObject, bool) {
	pin, sess, found, err := m.store.Pin(m.t.Context(), k)
	if err != nil || !found {
		return host.ActiveObject{}, false
	}
	a, err := m.active(sess.Addr, pin.SID)
	if err != nil {
		return host.ActiveObject{}, false
	}
	for _, o := range a.Objects {
		if o.Object == k.String() {
			return o, true
		}
	}
	return host.ActiveObject{}, false
}
