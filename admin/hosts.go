package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Host is one session of a host process.
type Host struct {
	Name      string       `json:"name"` // stable over restarts
	Session   string       `json:"session"`
	Addr      string       `json:"addr"`
	App       string       `json:"app"`
	Version   string       `json:"version"`
	Preview   string       `json:"preview,omitempty"`
	Classes   []string     `json:"classes"`
	State     string       `json:"state"` // ready, not-ready, cordoned, draining, closed, dead
	Objects   int          `json:"objects"`
	InFlight  int          `json:"inFlight"`
	Lease     wire.Seconds `json:"lease"`
	Heartbeat wire.Seconds `json:"heartbeat"`        // age of the last renewal, by the store's clock
	DryRun    bool         `json:"dryRun,omitempty"` // state is what it would be; nothing was touched

	Active *Active `json:"active,omitempty"` // get only: what the host itself says
}

func hostOf(s owners.Session, now time.Time) Host {
	h := Host{
		Name: s.Name, Session: s.ID, Addr: s.Addr, App: s.App, Version: s.Version, Preview: s.Preview, Classes: s.Classes,
		State: stateOf(s), Objects: s.Objects, InFlight: s.InFlight, Lease: wire.Seconds(s.Lease),
	}
	if s.State.Final() {
		h.Objects, h.InFlight = 0, 0 // what it said last is over
	}
	if at, ok := renewedAt(s.Nonce); ok {
		h.Heartbeat = wire.Seconds(max(now.Sub(at), 0).Round(time.Millisecond))
	}
	return h
}

// renewedAt reads the time out of a nonce, random:microseconds:counter.
func renewedAt(nonce string) (time.Time, bool) {
	parts := strings.Split(nonce, ":")
	if len(parts) < 2 {
		return time.Time{}, false
	}
	us, err := strconv.ParseInt(parts[1], 10, 64)
	return time.UnixMicro(us), err == nil
}

func stateOf(s owners.Session) string {
	switch {
	case s.State != owners.Live:
		return string(s.State)
	case s.Wanted == owners.WantedDrain:
		return "draining"
	case s.Wanted == owners.WantedCordon:
		return "cordoned"
	case !s.Ready:
		return "not-ready"
	}
	return "ready"
}

// sessions reads all sessions; one that cannot be read is logged and passed over.
func (a *api) sessions(ctx context.Context) ([]owners.Session, error) {
	found, err := a.opt.Store.Sessions(ctx)
	if err != nil && found == nil {
		return nil, fmt.Errorf("look at hosts: %w", err)
	}
	if err != nil {
		a.opt.Logger.Warn("session passed over", "err", err)
	}
	slices.SortFunc(found, func(x, y owners.Session) int {
		return strings.Compare(x.Name+"\x00"+x.ID, y.Name+"\x00"+y.ID)
	})
	return found, nil
}

// knowsApp says that the mesh file has a class of app.
func (a *api) knowsApp(app string) bool {
	return slices.ContainsFunc(a.opt.Classes(), func(c routing.Class) bool { return c.App == app })
}

func (a *api) listHosts(r *http.Request) (any, error) {
	q := r.URL.Query()
	sessions, err := a.sessions(r.Context())
	if err != nil {
		return nil, err
	}
	now, err := a.opt.Rollouts.Records.Now(r.Context())
	if err != nil {
		return nil, err
	}
	if app := q.Get("app"); app != "" && !a.knowsApp(app) && !slices.ContainsFunc(sessions, func(s owners.Session) bool { return s.App == app }) {
		return nil, missing("skewgate hosts list --all", "no host is of app %q, nor any class of the mesh", app)
	}
	out := List[Host]{Items: []Host{}}
	for _, s := range sessions {
		if s.State.Final() && q.Get("all") != "true" {
			continue
		}
		if app := q.Get("app"); app != "" && app != s.App {
			continue
		}
		if v := q.Get("version"); v != "" && v != s.Version {
			continue
		}
		out.Items = append(out.Items, hostOf(s, now))
	}
	return out, nil
}

// session finds a host by name or by (the start of) its session id. A session
// that is over is meant only when no other bears the name.
func (a *api) session(ctx context.Context, name string) (owners.Session, error) {
	all, err := a.sessions(ctx)
	if err != nil {
		return owners.Session{}, err
	}
	var live, final []owners.Session
	for _, s := range all {
		if s.Name != name && (len(name) < 6 || !strings.HasPrefix(s.ID, name)) {
			continue
		}
		if s.State.Final() {
			final = append(final, s)
		} else {
			live = append(live, s)
		}
	}
	found := live
	if len(found) == 0 && len(final) > 0 {
		found = final[len(final)-1:]
	}
	switch len(found) {
	case 0:
		return owners.Session{}, missing("skewgate hosts list", "no host is called %q", name)
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, s := range found {
		ids = append(ids, s.ID)
	}
	return owners.Session{}, badRequest("%d live sessions are called %q; name one of them: %s", len(found), name, strings.Join(ids, ", "))
}

func (a *api) getHost(r *http.Request) (any, error) {
	s, err := a.session(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	now, err := a.opt.Rollouts.Records.Now(r.Context())
	if err != nil {
		return nil, err
	}
	h := hostOf(s, now)
	h.Active = a.active(r.Context(), s, "")
	return h, nil
}

func (a *api) actOnHost(r *http.Request) (any, error) {
	var want owners.Wanted
	switch action := r.PathValue("action"); action {
	case "cordon":
		want = owners.WantedCordon
	case "uncordon":
		want = owners.WantedNone
	case "drain":
		want = owners.WantedDrain
	default:
		return nil, badRequest("%q: a host can be cordoned (cordon), uncordoned (uncordon) or drained (drain)", action)
	}
	dry, err := dryRunOf(r)
	if err != nil {
		return nil, err
	}
	s, err := a.session(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if err := mayWant(s, want); err != nil {
		return nil, err
	}
	if !dry {
		err = a.opt.Store.Want(r.Context(), s.ID, want)
	}
	switch {
	case errors.Is(err, owners.ErrFenced): // it ended a moment ago
		s.State = owners.Closed
		return nil, mayWant(s, want)
	case err != nil:
		return nil, fmt.Errorf("%s host %s: %w", r.PathValue("action"), s.Name, err)
	}
	s.Wanted = want
	now, err := a.opt.Rollouts.Records.Now(r.Context())
	if err != nil {
		return nil, err
	}
	h := hostOf(s, now)
	h.DryRun = dry
	return h, nil
}

// mayWant says why a host cannot be steered any more; nil when it can.
func mayWant(s owners.Session, want owners.Wanted) error {
	over := &Error{Status: http.StatusConflict, Code: "wrong_phase", Next: "skewgate hosts list"}
	switch {
	case s.State.Final():
		over.Detail = fmt.Sprintf("%s is %s: this session is over, and its process has another one or none", s.Name, s.State)
	case s.State != owners.Live && want != owners.WantedDrain:
		over.Detail = fmt.Sprintf("%s is %s; that cannot be taken back", s.Name, s.State)
	default:
		return nil
	}
	return over
}
