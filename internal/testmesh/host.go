package testmesh

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Running is a host of the test.
type Running struct {
	Addr string
	Stop func() error // drains, and gives what Run gave
}

// Options are those of a host that listens at a free port.
func (m *Mesh) Options(name string) host.Options {
	m.T.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(testenv.Port(m.T)))
	if err != nil {
		m.T.Fatal(err)
	}
	return host.Options{
		App: "shop", Version: "v1", Name: name, Store: m.URL, Secret: Secret, Lease: Lease, Idle: time.Minute,
		Drain: 20 * time.Second, Logger: Log(m.T).With("host", name), Listener: l,
	}
}

// Start runs a host with class Cart until the test ends.
func (m *Mesh) Start(name string, activate host.Activate, edit ...func(*host.Options)) *Running {
	m.T.Helper()
	o := m.Options(name)
	for _, e := range edit {
		e(&o)
	}
	h, err := host.New(o)
	if err != nil {
		m.T.Fatal(err)
	}
	h.Handle("Cart", activate)
	return m.Run(o.Listener.Addr().String(), h.Run)
}

// Run runs a host until the test ends and waits until it is registered at addr
// and new objects may be placed there, which comes after its gate has opened.
func (m *Mesh) Run(addr string, run func(context.Context) error) *Running {
	m.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	var once sync.Once
	var err error
	stop := func() error { once.Do(func() { cancel(); err = <-ended }); return err }
	m.T.Cleanup(func() { _ = stop() })
	m.Until("the host is ready and its gate open", func() bool {
		s, ok := m.SessionAt(addr)
		if !ok || !s.Ready {
			return false
		}
		a, err := m.Active(addr, s.ID)
		return err == nil && a.LeaseMS > 0
	})
	return &Running{Addr: addr, Stop: stop}
}

// Active asks a host what is active there.
func (m *Mesh) Active(addr, sid string) (host.Active, error) {
	var a host.Active
	r, err := http.NewRequestWithContext(m.T.Context(), http.MethodGet, "http://"+addr+host.PathActive, nil)
	if err != nil {
		return a, err
	}
	r.Header.Set(wire.HeaderSession, sid)
	r.Header.Set(wire.HeaderAuth, m.Signer.Sign("", sid, 0, time.Now()))
	res, err := m.Client.Do(r)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("status %d", res.StatusCode)
	}
	return a, json.NewDecoder(res.Body).Decode(&a)
}

// ActiveOf gives what the owner of k says of it.
func (m *Mesh) ActiveOf(k owners.Key) (host.ActiveObject, bool) {
	pin, sess, found, err := m.Store.Pin(m.T.Context(), k)
	if err != nil || !found {
		return host.ActiveObject{}, false
	}
	a, err := m.Active(sess.Addr, pin.SID)
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
