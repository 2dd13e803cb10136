package gateway

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// fakeHost is a registered session whose gate does what a test says. Nobody
// renews it and nobody watches it: it is live until the test ends it.
type fakeHost struct {
	m    *mesh
	sid  string
	addr string
	seen atomic.Int64 // requests that arrived
	gate func(f *fakeHost, w http.ResponseWriter, r *http.Request)
}

func (m *mesh) fake(name, version string, gate func(f *fakeHost, w http.ResponseWriter, r *http.Request)) *fakeHost {
	m.t.Helper()
	f := &fakeHost{m: m, sid: owners.NewSID(), gate: gate}
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	f.addr = serve(m.t, &http.Server{Protocols: p, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.seen.Add(1)
		f.gate(f, w, r)
	})})
	_, err := m.store.Store.Register(m.t.Context(), owners.Registration{
		SID: f.sid, Addr: f.addr, Name: name, App: "shop", Version: version, Classes: []string{"Cart"}, Lease: 3 * time.Second, Ready: true,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}

// refuse refuses as a gate does.
func refuse(w http.ResponseWriter, reason string, token int64) {
	w.Header().Set(wire.HeaderRefusal, wire.Refusal{Reason: reason, Token: token}.String())
	w.WriteHeader(http.StatusMisdirectedRequest)
}

// stampOf reads what the gateway stamped.
func stampOf(t testing.TB, r *http.Request) (owners.Key, string, int64) {
	k, err := owners.ParseKey(r.Header.Get(wire.HeaderObject))
	if err != nil {
		t.Error(err)
	}
	n, err := strconv.ParseInt(r.Header.Get(wire.HeaderToken), 10, 64)
	if err != nil {
		t.Error(err)
	}
	return k, r.Header.Get(wire.HeaderSession), n
}

// letGo releases the object in the store and refuses, as a host does that has moved it.
func letGo(f *fakeHost, w http.ResponseWriter, r *http.Request) {
	k, sid, token := stampOf(f.m.t, r)
	if _, _, err := f.m.store.Store.Release(r.Context(), k, sid, token); err != nil {
		f.m.t.Error(err)
	}
	refuse(w, wire.ReasonReleased, token)
}

// end makes the session final, as a watcher would.
func (f *fakeHost) end() {
	f.m.t.Helper()
	if err := f.m.store.Store.CloseSession(f.m.t.Context(), f.sid); err != nil {
		f.m.t.Fatal(err)
	}
}
