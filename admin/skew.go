package admin

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/rollout/skew"
)

// Skew is the answer of GET /v1/skew.
type Skew struct{ *skew.Answer }

func (a *api) getSkew(r *http.Request) (any, error) {
	since, err := sinceOf(r, time.Hour)
	if err != nil {
		return nil, err
	}
	matrices, err := a.opt.Skew.Matrices(r.Context())
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	answer, err := a.opt.Skew.Query(r.Context(), skew.Query{Class: q.Get("class"), Caller: q.Get("caller"), App: q.Get("app"), Since: since}, matrices)
	if err != nil {
		return nil, err
	}
	// Calls of a class or an app that was taken out of the mesh are told; without any, the name is wrong.
	if len(answer.Lines) == 0 {
		if err := a.named(q.Get("class"), q.Get("app")); err != nil {
			return nil, err
		}
	}
	if answer.Lines == nil {
		answer.Lines = []skew.Line{}
	}
	return Skew{answer}, nil
}

// named is an error when a class or an app, unless empty, is none of the mesh's.
func (a *api) named(class, app string) error {
	known, apps := map[string]routing.Class{}, map[string]bool{}
	for _, c := range a.opt.Classes() {
		known[c.Name], apps[c.App] = c, true
	}
	if _, ok := known[class]; class != "" && !ok {
		return noClass(known, class)
	}
	if app != "" && !apps[app] {
		return missing("skewgate versions list", "no class of the mesh belongs to app %q; there is %s", app, strings.Join(slices.Sorted(maps.Keys(apps)), ", "))
	}
	return nil
}
