package host_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testmesh"
)

// An event that spoils its object's memory says so: its answer leaves, and the
// next event, though it waited already, finds what storage has.
func TestActivateAnew(t *testing.T) {
	for _, says := range []bool{true, false} { // false is the control: then the memory stays
		t.Run(fmt.Sprintf("says so %v", says), func(t *testing.T) {
			testmesh.OnEveryStore(t, func(t *testing.T, m *testmesh.Mesh) {
				var made, closed atomic.Int32
				inside, leave := make(chan struct{}), make(chan struct{})
				activate := counting("one", func(r *http.Request) {
					o := host.FromContext(r.Context())
					o.Value().(*counter).n += 100
					close(inside)
					<-leave
					if says {
						o.ActivateAnew()
					}
				})
				m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
					if made.Add(1) != closed.Load()+1 {
						t.Error("made before the one before was closed")
					}
					h, err := activate(ctx, o)
					if c, ok := h.(*counter); ok {
						c.closed = func() { closed.Add(1) }
					}
					return h, err
				})
				k := key("1")
				m.Must(k, "POST", "/add", "", 200)
				token := m.Owner(k).Token
				spoils := m.Later(k, "GET", "/?hold")
				<-inside
				next := make(chan testmesh.Answer, 1)
				go func() { next <- m.Must(k, "GET", "/", "", 200) }()
				m.Until("it waits", func() bool { return waitingOf(m, k) == 1 })
				close(leave)
				if a := <-spoils; a.Err != nil || a.Status != 200 || a.Body != "101" {
					t.Errorf("the event that says so: %+v", a)
				}
				want, activations := "1", int32(2)
				if !says {
					want, activations = "101", 1
				}
				if a := <-next; a.Body != want {
					t.Errorf("the next event: %+v, want %s", a, want)
				}
				if made.Load() != activations || m.Owner(k).Token != token {
					t.Errorf("%d activations, want %d; token %d became %d", made.Load(), activations, token, m.Owner(k).Token)
				}
			})
		})
	}
}
