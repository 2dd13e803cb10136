package host_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/faults"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// A host that was told to have no storage has the gate alone: events are
// answered, large answers and streams too; what comes after the lease is withheld; a move is one.
func TestHostWithoutStorage(t *testing.T) {
	t.Parallel()
	m, st := testmesh.New(t, testmesh.Embedded(t)), newStops()
	enter, leave := make(chan string, 1), make(chan struct{})
	m.Start("one", func(ctx context.Context, o *host.Object) (http.Handler, error) {
		if _, err := o.Storage().Get(ctx, "k"); !errors.Is(err, storage.ErrNone) {
			t.Errorf("a read: %v, want ErrNone", err)
		}
		if f := o.Fence(); f.Token != o.Token() || f.Session == "" || f.N < 1 {
			t.Errorf("fence %v, want the activation's", f)
		}
		n := 0
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("hold") {
				enter <- ""
				<-leave
			}
			if r.URL.Path == "/large" {
				_, _ = w.Write(make([]byte, 1<<20))
				return
			}
			if err := o.Storage().Put(r.Context(), "k", nil); !errors.Is(err, storage.ErrNone) {
				t.Errorf("a write: %v, want ErrNone", err)
			}
			n++
			fmt.Fprint(w, n)
		}), nil
	}, faulty(nil, st), func(o *host.Options) { o.Storage = "none" })
	k := key("1")
	c := m.Owner(k)
	for _, want := range []string{"1", "2"} {
		if a, _ := attempt(t, m, k, c); a.Status != 200 || a.Body != want {
			t.Errorf("status %d %s, want %s", a.Status, a.Body, want)
		}
	}
	if a := m.Must(k, "GET", "/large", "", 200); len(a.Body) != 1<<20 {
		t.Errorf("a large answer has %d bytes", len(a.Body))
	}
	if r := m.Release(k, wire.ReleaseNow, time.Minute); !r.Released {
		t.Errorf("release: %+v", r)
	}
	m.Forget(k)
	c = m.Owner(k)
	late := m.LaterAt(k, c, "POST", "/?hold=1")
	<-enter
	defer st.hold(faults.BeforeRenew)()
	st.jump()
	close(leave)
	if a := <-late; a.Status != http.StatusConflict || a.Code() != "stale_instance" {
		t.Errorf("past the lease: status %d %s, want stale_instance", a.Status, a.Body)
	}
}
