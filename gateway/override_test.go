package gateway

import (
	"net/http"
	"testing"
	"time"

	"github.com/skewgate/skewgate/wire"
)

// An override is answered on errors, too: who asked for a version wants to know
// whether the error is that version's.
func TestOverrideIsAnsweredOnErrors(t *testing.T) {
	m := newMesh(t, func(m *mesh, _ *Options) { m.classes[0].Limits.HoldFor = 50 * time.Millisecond })
	m.deployed = only("v1")
	m.table()
	a := m.get("/carts/1", wire.HeaderVersionOverrides, `shop="v1"`)
	if got := a.header.Get(wire.HeaderOverride); a.status != http.StatusServiceUnavailable || got != "ignored; reason=no-host" {
		t.Errorf("without a host: %d, %q", a.status, got)
	}
	if got := m.get("/carts/1").header.Get(wire.HeaderOverride); got != "" {
		t.Errorf("nobody asked and is answered %q", got)
	}
}
