package xds

import (
	"testing"

	"github.com/skewgate/skewgate/internal/testenv"
)

// A gateway with several controls goes on with another one when its own dies,
// keeps its table meanwhile, and says there what it has already.
func TestNextControlWhenOneIsLost(t *testing.T) {
	type control struct {
		*ads
		stop func()
		addr string
	}
	var controls []control
	for range 2 {
		a := &ads{streams: make(chan *adsPeer, 10)}
		l := testenv.Listen(t)
		s := serve(t, a, l)
		controls = append(controls, control{a, s.Stop, l.Addr().String()})
	}
	dead := testenv.Listen(t)
	deadAddr := dead.Addr().String()
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	c, ts := runClient(t, deadAddr, controls[0].addr, controls[1].addr)
	var p *adsPeer
	first, second := controls[0], controls[1]
	select {
	case p = <-first.streams:
	case p = <-second.streams:
		first, second = second, first
	case <-t.Context().Done():
	}
	p.t = t
	p.everything(shop())
	until(t, "a table", func() bool { return ts.count() == 1 })

	first.stop()
	p = second.next(t)
	if n := ts.count(); n != 1 || ts.last().Version != shop().Version {
		t.Errorf("%d tables, the last %q: the last good one is gone", n, ts.last().Version)
	}
	if v := p.heard(TypeRoute).GetInitialResourceVersions(); len(v) == 0 {
		t.Error("the other control is not told what is here already")
	}
	p.everything(shop())
	until(t, "connected again", func() bool { return c.State().Connected })
}
