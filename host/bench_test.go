package host_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/internal/testmesh"
)

// nobody is a ResponseWriter that costs nothing.
type nobody struct{ h http.Header }

func (n nobody) Header() http.Header         { return n.h }
func (n nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n nobody) WriteHeader(int)             {}

// BenchmarkGate is what gate, stamp and output gate cost an event beyond its
// handler: the same handler is called bare and through the gate, without a network.
func BenchmarkGate(b *testing.B) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	m := testmesh.New(b, testmesh.Embedded(b))
	o := m.Options("one")
	h, err := host.New(o)
	if err != nil {
		b.Fatal(err)
	}
	h.Handle("Cart", func(context.Context, *host.Object) (http.Handler, error) { return handler, nil })
	m.Run(o.Listener.Addr().String(), h.Run)
	c := m.Owner(key("1"))
	warm := httptest.NewRecorder()
	h.ServeHTTP(warm, m.Request(b.Context(), key("1"), c, "GET", "/", nil))
	if warm.Code != 200 {
		b.Fatalf("status %d %s", warm.Code, warm.Body)
	}
	header := http.Header{}
	m.Stamp(header, key("1"), c)
	template := m.Request(b.Context(), key("1"), c, "GET", "/", nil)
	for _, run := range []struct {
		name string
		h    http.Handler
	}{{"bare", handler}, {"gate", h}} {
		b.Run(run.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := *template
				r.Header = header.Clone() // a server makes one for each request
				run.h.ServeHTTP(nobody{http.Header{}}, &r)
			}
		})
	}
}
