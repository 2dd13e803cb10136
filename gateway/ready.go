package gateway

import (
	"net/http"

	"github.com/skewgate/skewgate/wire"
)

// withReady answers wire.PathReady on the data listener, where an Envoy in
// front asks, and passes everything else on. The path is below a prefix of our
// own, so no class's routes are in its way.
func (g *Gateway) withReady() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != wire.PathReady {
			g.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		if err := g.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
}
