package owners_test

import (
	"context"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/skewgate/skewgate/owners"
)

// door is a way to a store that can be shut: connections end, and new ones are refused.
type door struct {
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func (d *door) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}
	c, err := d.dial(ctx, network, addr)
	if err == nil {
		d.conns = append(d.conns, c)
	}
	return c, err
}

func (d *door) set(shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = shut
	for _, c := range d.conns {
		c.Close()
	}
	d.conns = nil
}

// The first call after a store is back reaches it, however many failed before:
// a host has a renewal or two left of its lease then.
func TestStoreThatComesBackIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	e := embedded(t, true)
	d := &door{dial: e.Dial}
	s := open(t, owners.Options{URL: e.URL(), Dial: d.Dial})
	sid := owners.NewSID()
	if _, err := s.Register(t.Context(), owners.Registration{
		SID: sid, Addr: "10.0.0.1:9001", Name: "one", App: "shop", Version: "v1", Classes: []string{"Cart"}, Lease: owners.MinLease,
	}); err != nil {
		t.Fatal(err)
	}
	renew := func() error { _, err := s.Renew(t.Context(), sid, owners.Health{}); return err }
	read := func() error {
		_, _, _, err := s.Pin(t.Context(), owners.Key{Class: "Cart", ID: "1"})
		return err
	}
	d.set(true)
	for range 100 {
		if renew() == nil || read() == nil {
			t.Fatal("a call was answered while the store was away")
		}
	}
	d.set(false)
	if err := renew(); err != nil {
		t.Errorf("the first renewal after it: %v", err)
	}
	if err := read(); err != nil {
		t.Errorf("the first reading after it: %v", err)
	}
}
