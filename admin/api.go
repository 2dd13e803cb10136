package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

// APIVersion is in every answer.
const APIVersion = "skewgate/v1"

// Options of the API. Store, Classes and Logger are needed; zero values of the
// rest mean what their comments say.
type Options struct {
	Store    *owners.Store
	Rollouts *rollout.Rollouts      // one on Store
	Skew     *skew.Reader           // one on Store
	Classes  func() []routing.Class // of the mesh, as configured now
	Proxies  func() []Proxy         // xDS clients of this process; none
	Ready    func(context.Context) []Check
	Signer   *wire.Signer // to ask gates what is active there; nobody is asked
	HTTP     *http.Client // likewise; http.DefaultClient
	Scheme   string       // likewise; "http" when empty
	Metrics  http.Handler // /metrics; 404
	Console  http.Handler // /; 404
	Token    string       // bearer token; none is asked for
	Logger   *slog.Logger
}

// api is what the handlers share.
type api struct {
	opt     Options
	audit   *audit
	schemas *schemas
}

// route is one operation. Change says that it is audited.
type route struct {
	method, pattern string
	change          bool
	handle          func(*api, *http.Request) (any, error)
}

// routes lists every operation under /v1; openapi.yaml has the same.
func routes() []route {
	return []route{
		{"GET", "/v1/skew", false, (*api).getSkew},
		{"GET", "/v1/can-i/{question}/{app}/{version}", false, (*api).getCanI},
		{"GET", "/v1/rollouts", false, (*api).listRollouts},
		{"GET", "/v1/rollouts/{app}", false, (*api).getRollout},
		{"POST", "/v1/rollouts/{app}", true, (*api).startRollout},
		{"POST", "/v1/rollouts/{app}/preview", false, (*api).previewRollout},
		{"POST", "/v1/rollouts/{app}/{action}", true, (*api).actOnRollout},
		{"GET", "/v1/rollouts/{app}/history", false, (*api).getRolloutHistory},
		{"GET", "/v1/objects", false, (*api).listObjects},
		{"GET", "/v1/objects/{class}/{id}", false, (*api).getObject},
		{"POST", "/v1/objects/{class}/{id}/move", true, (*api).moveObject},
		{"GET", "/v1/objects/{class}/{id}/history", false, (*api).getObjectHistory},
		{"GET", "/v1/hosts", false, (*api).listHosts},
		{"GET", "/v1/hosts/{name}", false, (*api).getHost},
		{"POST", "/v1/hosts/{name}/{action}", true, (*api).actOnHost},
		{"GET", "/v1/versions", false, (*api).listVersions},
		{"GET", "/v1/versions/{app}/{version}", false, (*api).getVersion},
		{"GET", "/v1/proxies", false, (*api).listProxies},
		{"GET", "/v1/schemas", false, (*api).listSchemas},
		{"GET", "/v1/schemas/{app}/{version}", false, (*api).getSchema},
		{"PUT", "/v1/schemas/{app}/{version}", true, (*api).putSchema},
		{"POST", "/v1/schemas/{app}/{version}/retire", true, (*api).retireSchema},
		{"GET", "/v1/matrix", false, (*api).listMatrices},
		{"GET", "/v1/doctor", false, (*api).getDoctor},
		{"GET", "/v1/audit", false, (*api).getAudit},
	}
}

// New makes the API's handler.
func New(o Options) (http.Handler, error) {
	if o.Store == nil || o.Rollouts == nil || o.Skew == nil || o.Classes == nil || o.Logger == nil {
		return nil, errors.New("admin: store, rollouts, skew, classes and logger are needed")
	}
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Scheme == "" {
		o.Scheme = "http"
	}
	rdb, prefix := o.Store.Redis(), o.Store.Prefix()
	a := &api{opt: o, audit: &audit{rdb, prefix + "audit", o.Logger}, schemas: &schemas{rdb, prefix}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /v1/openapi.yaml", serveOpenAPI)
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
	}
	if o.Console != nil {
		mux.Handle("/", o.Console)
	}
	for _, rt := range routes() {
		mux.Handle(rt.method+" "+rt.pattern, a.authorized(a.serve(rt)))
	}
	mux.Handle("/v1/", a.authorized(http.HandlerFunc(notFound)))
	return mux, nil
}

// answerWithin bounds every operation but moves, which wait for running events.
const answerWithin = 30 * time.Second

// serve runs one operation and writes its answer.
func (a *api) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), maxWait)
		defer cancel()
		if r.Method == http.MethodGet {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, answerWithin)
			defer stop()
		}
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer, err := rt.handle(a, r)
		if rt.change {
			a.audit.note(r, err)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, problemOf(&Error{
		Status: http.StatusNotFound, Code: "not_found", Detail: r.Method + " " + r.URL.Path + " is no operation of this API",
		Next: "GET /v1/openapi.yaml lists them",
	}))
}
