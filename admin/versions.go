package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
)

// Version is one version of one app, as it is live now.
type Version struct {
	App      string    `json:"app"`
	Version  string    `json:"version"`
	State    string    `json:"state"`  // active, ramping, draining, drained, standby (never had a share), calling, registered or gone
	Weight   float64   `json:"weight"` // percent of the deployment; 0 where none is recorded
	Hosts    int       `json:"hosts"`  // that can take objects
	Objects  int       `json:"objects"`
	Callers  []string  `json:"callers,omitempty"` // app@version that called its objects in the last hour
	Calls    int64     `json:"calls"`             // on its objects, in the last hour
	Calling  int64     `json:"calling"`           // by it, in the last hour
	LastSeen time.Time `json:"lastSeen,omitzero"` // of a call on it or by it
	Since    time.Time `json:"since,omitzero"`    // when its rollout began or ended
	Schema   bool      `json:"schema"`            // registered
	Preview  string    `json:"preview,omitempty"`
}

// seenFor is how far back versions look for calls.
const seenFor = time.Hour

func (a *api) versions(ctx context.Context) ([]Version, error) {
	v, err := a.view(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := a.opt.Skew.Query(ctx, skew.Query{Since: seenFor}, nil)
	if err != nil {
		return nil, err
	}
	registered, err := a.schemas.list(ctx)
	if err != nil {
		return nil, err
	}
	found := map[[2]string]*Version{}
	get := func(app, version string) *Version {
		k := [2]string{app, version}
		if found[k] == nil {
			found[k] = &Version{App: app, Version: version}
		}
		return found[k]
	}
	for _, s := range v.all {
		if s.State.Final() {
			continue
		}
		x := get(s.App, s.Version)
		x.Objects += s.Objects
		x.Preview = s.Preview
		if stateOf(s) == "ready" {
			x.Hosts++
		}
	}
	for _, l := range answer.Lines {
		addCalls(get, l)
	}
	for _, s := range registered {
		if s.Retired.IsZero() {
			get(s.App, s.Version).Schema = true
		}
	}
	for _, rec := range v.records {
		addDeployment(get, rec)
	}
	out := make([]Version, 0, len(found))
	for _, x := range found {
		x.State = versionState(x, v.records[x.App])
		slices.Sort(x.Callers)
		x.Callers = slices.Compact(x.Callers)
		out = append(out, *x)
	}
	slices.SortFunc(out, func(x, y Version) int {
		return cmp.Or(strings.Compare(x.App, y.App), skew.CompareVersions(x.Version, y.Version))
	})
	return out, nil
}

func addCalls(get func(app, version string) *Version, l skew.Line) {
	if l.Version != "" {
		x := get(l.App, l.Version)
		x.Calls += l.Calls
		x.Callers = append(x.Callers, l.Caller)
		if l.Last.After(x.LastSeen) {
			x.LastSeen = l.Last
		}
	}
	if app, version, ok := strings.Cut(l.Caller, "@"); ok {
		x := get(app, version)
		x.Calling += l.Calls
		if l.Last.After(x.LastSeen) {
			x.LastSeen = l.Last
		}
	}
}

func addDeployment(get func(app, version string) *Version, rec *rollout.Record) {
	versions := rec.Versions()
	total := 0.0
	for _, v := range versions {
		total += v.Weight
	}
	for _, v := range versions {
		if total > 0 {
			get(rec.App, v.Name).Weight = 100 * v.Weight / total
		}
	}
	ro := rec.Rollout
	if ro == nil {
		return
	}
	for _, b := range ro.Base { // every version that the rollout concerns
		x := get(rec.App, b.Name)
		x.Since = ro.StartedAt
		if ro.Phase.Ended() {
			x.Since = ro.EndedAt
		}
	}
}

func versionState(x *Version, rec *rollout.Record) string {
	deployed := rec != nil && len(rec.Deployment) > 0
	ramping := rec != nil && rec.Rollout != nil && !rec.Rollout.Phase.Ended() && rec.Rollout.Spec.To == x.Version
	switch {
	case ramping && x.Weight < 100:
		return "ramping"
	case x.Weight > 0 || !deployed && x.Hosts > 0:
		return "active"
	case x.Objects > 0:
		return "draining"
	case x.Hosts > 0 && rec.Had(x.Version):
		return "drained"
	case x.Hosts > 0:
		return "standby"
	case x.Calling > 0:
		return "calling"
	case x.Schema:
		return "registered"
	}
	return "gone"
}

func (a *api) listVersions(r *http.Request) (any, error) {
	all, err := a.versions(r.Context())
	if err != nil {
		return nil, err
	}
	app := r.URL.Query().Get("app")
	out := List[Version]{Items: []Version{}}
	for _, v := range all {
		if app == "" || v.App == app {
			out.Items = append(out.Items, v)
		}
	}
	return out, nil
}

func (a *api) getVersion(r *http.Request) (any, error) {
	all, err := a.versions(r.Context())
	if err != nil {
		return nil, err
	}
	app, version := r.PathValue("app"), r.PathValue("version")
	i := slices.IndexFunc(all, func(v Version) bool { return v.App == app && v.Version == version })
	if i < 0 {
		return nil, missing("skewgate versions list --app "+app, "nobody knows a version %s of %s: no host, no call, no deployment, no schema", version, app)
	}
	return all[i], nil
}
