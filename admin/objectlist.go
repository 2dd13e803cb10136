package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/owners"
)

// objectFilter is what a list is narrowed by.
type objectFilter struct {
	class, version, host, state string
	moving                      bool // only those that do not run their assigned version
}

func (f objectFilter) wants(o Object) bool {
	return (f.class == "" || f.class == o.Class) && (f.version == "" || f.version == o.Version) &&
		(f.host == "" || f.host == o.Host || f.host == o.Session) && (f.state == "" || f.state == o.State) &&
		(!f.moving || o.State == string(owners.Owned) && o.Assigned != "" && o.Assigned != o.Version)
}

// objectStates are those that a list can be narrowed to.
var objectStates = []string{"owned", "released", "orphaned"}

// filterOf reads a filter. A word that nothing can match is an error, not an empty list.
func (v *view) filterOf(r *http.Request) (objectFilter, error) {
	q := r.URL.Query()
	f := objectFilter{class: q.Get("class"), version: q.Get("version"), host: q.Get("host"), state: q.Get("state"), moving: q.Get("moving") == "true"}
	if f.state != "" && !slices.Contains(objectStates, f.state) {
		return f, badRequest("state=%q: use %s", f.state, strings.Join(objectStates, ", "))
	}
	if f.host != "" && !slices.ContainsFunc(v.all, func(s owners.Session) bool { return s.Name == f.host || s.ID == f.host }) {
		return f, missing("skewgate hosts list --all", "no host is called %q", f.host)
	}
	return f, nil
}

// Bounds of a page of objects. A filter may pass over most of what is there, so
// a page ends as well when so many records have been looked at.
const (
	maxPinsPerStep = 1000
	maxPinsPerPage = 50_000
)

func (a *api) listObjects(r *http.Request) (any, error) {
	limit, err := limitOf(r, 100)
	if err != nil {
		return nil, err
	}
	at, err := owners.ParsePinCursor(r.URL.Query().Get("cursor"))
	if err != nil {
		return nil, badRequest("cursor: %v", err)
	}
	v, err := a.view(r.Context())
	if err != nil {
		return nil, err
	}
	f, err := v.filterOf(r)
	if err != nil {
		return nil, err
	}
	out, err := a.objectPage(r.Context(), v, f, at, limit)
	if err != nil {
		return nil, err
	}
	// Pins of a class that was taken out of the mesh are listed as well; without any, the name is wrong.
	_, known := v.classes[f.class]
	if f.class != "" && !known && at == (owners.PinCursor{}) && len(out.Items) == 0 && !out.Truncated {
		return nil, noClass(v.classes, f.class)
	}
	return out, nil
}

// objectPage walks on from a cursor until it has about limit objects. After a
// step that gave few the next one is twice as long.
func (a *api) objectPage(ctx context.Context, v *view, f objectFilter, at owners.PinCursor, limit int) (List[Object], error) {
	out := List[Object]{Items: []Object{}}
	seen := map[owners.Key]bool{}
	for looked, step := 0, limit; ; {
		step = min(step, maxPinsPerStep)
		page, err := a.opt.Store.PinPage(ctx, at, step)
		if err != nil {
			return out, fmt.Errorf("list objects: %w", err)
		}
		for _, bad := range page.Bad {
			a.opt.Logger.Warn("pin passed over", "err", bad)
			out.Unreadable++
		}
		found := len(out.Items)
		for _, pin := range page.Pins {
			if o := v.describe(pin); f.wants(o) && !seen[pin.Key] {
				seen[pin.Key] = true
				out.Items = append(out.Items, o)
			}
		}
		at = page.Next
		looked += step
		switch {
		case page.Last, len(out.Items) >= limit, looked >= maxPinsPerPage:
			if !page.Last {
				out.Truncated, out.Cursor = true, at.String()
			}
			slices.SortFunc(out.Items, func(x, y Object) int { return strings.Compare(x.Object, y.Object) })
			return out, nil
		case 4*(len(out.Items)-found) < step:
			step *= 2
		default:
			step = limit - len(out.Items)
		}
	}
}
