package gateway

import (
	"context"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
)

// hostReader reads all sessions from the store at a bounded rate. Control
// tells gateways of hosts; this is for when it is late, or gone.
type hostReader struct {
	turn chan struct{} // of capacity 1: holds a value while somebody reads
	next time.Time     // no reading before
}

// refreshHosts takes the hosts from the store, and says whether d now has
// others to choose from. It does nothing, and says no, when it did so a moment ago.
func (g *Gateway) refreshHosts(ctx context.Context, d *decision) bool {
	select {
	case g.hosts.turn <- struct{}{}:
		defer func() { <-g.hosts.turn }()
	case <-ctx.Done():
		return false
	}
	if s := g.snap.Load(); s != d.snap { // somebody did, or control spoke
		d.snap = s
		return true
	}
	if time.Now().Before(g.hosts.next) {
		return false
	}
	g.hosts.next = time.Now().Add(g.opt.HostRefresh)
	start := time.Now()
	sessions, err := g.opt.Store.Sessions(ctx)
	g.metrics.storeCall("sessions", start, err)
	if err != nil && sessions == nil {
		g.log.Warn("hosts cannot be read from the store", "error", err)
		return false
	}
	if err != nil { // a record that cannot be read keeps no other host out
		g.log.Warn("session passed over", "error", err)
	}
	spec := d.snap.origin.Spec()
	spec.Hosts = mergeHosts(spec.Hosts, sessions)
	table, err := routing.NewTable(spec)
	if err != nil {
		g.log.Error("hosts from the store do not make a table", "error", err)
		return false
	}
	fresh := newSnapshot(table, d.snap.origin)
	if !g.snap.CompareAndSwap(d.snap, fresh) {
		fresh = g.snap.Load()
	}
	d.snap = fresh
	return true
}

// mergeHosts takes hosts from the store's sessions, and keeps those that never
// had a session there (addresses from the mesh file).
func mergeHosts(configured []routing.Host, sessions []owners.Session) []routing.Host {
	var out []routing.Host
	for _, h := range configured {
		if owners.ValidSID(h.Session) != nil {
			out = append(out, h)
		}
	}
	for _, s := range sessions {
		if s.State.Final() || s.Addr == "" {
			continue
		}
		out = append(out, routing.Host{
			Session: s.ID, Name: s.Name, Addr: s.Addr, App: s.App, Version: s.Version, Preview: s.Preview, Classes: s.Classes,
			Draining: s.State == owners.Draining, Ready: s.Ready, Cordoned: s.Wanted != owners.WantedNone,
		})
	}
	return out
}
