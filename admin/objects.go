package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/assign"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

// Object is one object's pin, where it runs, and where it should.
type Object struct {
	Object    string `json:"object"` // Class/percent-encoded id
	Class     string `json:"class"`
	ID        string `json:"id"`
	State     string `json:"state"` // owned, released, orphaned (its owner is gone) or none
	Session   string `json:"session,omitempty"`
	Host      string `json:"host,omitempty"`
	Addr      string `json:"addr,omitempty"`
	HostState string `json:"hostState,omitempty"`
	Version   string `json:"version,omitempty"` // that runs it, or ran it last
	Token     int64  `json:"token"`
	Confirmed int64  `json:"confirmed"`
	Assigned  string `json:"assigned,omitempty"` // version that it should run
	Why       string `json:"why"`
	Gate      bool   `json:"gate"` // every event is checked against the owner; not in affinity mode

	Active *ActiveObject `json:"active,omitempty"` // get only: what its host says
	Fence  string        `json:"fence,omitempty"`  // get only: storage fence of its host: redis, postgres, none; empty when it does not say

	Refusals []Refusal `json:"refusals,omitempty"` // get only: what the gates of its app's hosts refused last of it, latest first
}

// view is what objects are described by; read once for a list.
type view struct {
	sessions map[string]owners.Session
	all      []owners.Session
	classes  map[string]routing.Class
	records  map[string]*rollout.Record
	matrices skew.Matrices
}

func (a *api) view(ctx context.Context) (*view, error) {
	all, err := a.sessions(ctx)
	if err != nil {
		return nil, err
	}
	records, err := a.opt.Rollouts.Records.List(ctx)
	if err != nil {
		return nil, err
	}
	matrices, err := a.opt.Skew.Matrices(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{matrices: matrices, sessions: map[string]owners.Session{}, all: all, classes: map[string]routing.Class{}, records: map[string]*rollout.Record{}}
	for _, s := range all {
		v.sessions[s.ID] = s
	}
	for _, c := range a.opt.Classes() {
		v.classes[c.Name] = c
	}
	for _, r := range records {
		v.records[r.App] = r
	}
	return v, nil
}

// describe turns a pin into what a person wants to know.
func (v *view) describe(pin owners.Pin) Object {
	class := v.classes[pin.Key.Class]
	o := Object{
		Object: pin.Key.String(), Class: pin.Key.Class, ID: pin.Key.ID, State: string(pin.State), Session: pin.SID, Version: pin.Version,
		Token: pin.Token, Confirmed: pin.Confirmed, Gate: class.Mode == routing.ModeOwn,
	}
	if o.State == "" {
		o.State = "none"
	}
	s, known := v.sessions[pin.SID]
	if known {
		o.Host, o.Addr, o.HostState = s.Name, s.Addr, stateOf(s)
	}
	if pin.State == owners.Owned && (!known || s.State.Final()) {
		o.State = "orphaned"
	}
	o.Assigned, o.Why = v.assigned(class, pin.Key, o)
	return o
}

// assigned gives the version that an object should run, and says in words why it runs what it runs.
func (v *view) assigned(class routing.Class, k owners.Key, o Object) (version, why string) {
	rec := v.records[class.App]
	if class.Name == "" {
		return "", "class " + k.Class + " is not in the mesh file"
	}
	if rec == nil || len(rec.Deployment) == 0 {
		return "", "follow: no deployment of " + class.App + " is recorded, any live version will do"
	}
	deployment := rec.Versions()
	first, err := assign.Assign(deployment, k.Class, k.ID)
	if err != nil {
		return "", err.Error()
	}
	share := fmt.Sprintf("%s has %.4g %%", first, assign.Normalize(deployment)[first])
	place := rollout.Placement{Deployment: deployment, Class: class, Hosts: v.usableHosts(class), Matrix: v.matrices[class.Name]}
	want := place.Desired(k.ID, o.Version)
	switch {
	case o.Version != "" && o.Version != first && place.Hosts[first] > 0 && want != first:
		return cmp.Or(want, o.Version), share + ", but cannot read the state that " + o.Version + " stored"
	case want == "" && len(place.Hosts) > 0:
		return first, share + ", but no ready host, and no other version that is known to read its state stands in"
	case want == "":
		return first, share + ", but no deployed version has a ready host"
	case want != first:
		return first, share + ", but no ready host; " + want + " stands in"
	case o.State != string(owners.Owned):
		return first, share + "; its next call runs it there"
	case o.Version == first:
		return first, share
	case rec.Move.Mode == routing.MoveDrain || rec.Move.Mode == routing.MoveNow:
		return first, share + "; it is active on " + o.Version + " and waits for its move"
	}
	return first, share + "; it is active on " + o.Version + " and moves when it is next idle"
}

func (v *view) usableHosts(class routing.Class) map[string]int {
	n := map[string]int{}
	for _, s := range v.all {
		if s.App == class.App && s.Preview == "" && stateOf(s) == "ready" && slices.Contains(s.Classes, class.Name) {
			n[s.Version]++
		}
	}
	return n
}

// keyOf reads the object out of the path; the mux has taken the escapes off.
func keyOf(r *http.Request) (owners.Key, error) {
	k := owners.Key{Class: r.PathValue("class"), ID: r.PathValue("id")}
	return k, k.Validate()
}

func (a *api) getObject(r *http.Request) (any, error) {
	k, err := keyOf(r)
	if err != nil {
		return nil, err
	}
	pin, sess, found, err := a.opt.Store.Pin(r.Context(), k)
	if err != nil {
		return nil, fmt.Errorf("get object: %w", err)
	}
	v, err := a.view(r.Context())
	if err != nil {
		return nil, err
	}
	if _, ok := v.classes[k.Class]; !ok && pin.State == owners.None {
		return nil, noClass(v.classes, k.Class)
	}
	pin.Key = k
	o := v.describe(pin)
	var active *Active
	if found && pin.State == owners.Owned {
		active = a.active(r.Context(), sess, k.String())
	}
	if active != nil {
		o.Fence = active.Fence
		for _, x := range active.Objects {
			if x.Object == k.String() {
				o.Active = &x
			}
		}
	}
	o.Refusals = a.refusedBy(r.Context(), k, active, v)
	return o, nil
}

// ObjectMove is the body of a move. Everything may be left out.
type ObjectMove struct {
	Host   string       `json:"host,omitempty"`   // name or session of the target
	Now    bool         `json:"now,omitempty"`    // close sockets, do not wait for streams
	Wait   wire.Seconds `json:"wait,omitempty"`   // for running events; 30s, at most 5m
	Reason string       `json:"reason,omitempty"` // for its history
}

// MovedObject is where an object went.
type MovedObject = rollout.MovedObject

func (a *api) moveObject(r *http.Request) (any, error) {
	k, err := keyOf(r)
	if err != nil {
		return nil, err
	}
	dry, err := dryRunOf(r)
	if err != nil {
		return nil, err
	}
	var m ObjectMove
	if r.ContentLength != 0 {
		if err := readBody(r, &m); err != nil {
			return nil, err
		}
	}
	if m.Wait < 0 || time.Duration(m.Wait) > maxMoveWait {
		return nil, badRequest("wait=%q: use a time up to %s", time.Duration(m.Wait), maxMoveWait)
	}
	ask := rollout.MoveAsk{Ask: rollout.Ask{By: actor(r), Reason: m.Reason}, Host: m.Host, Wait: time.Duration(m.Wait), Dry: dry}
	if m.Now {
		ask.Mode = routing.MoveNow
	}
	return a.opt.Rollouts.MoveObject(r.Context(), k, ask)
}

// ObjectMoved is one entry of an object's history.
type ObjectMoved struct{ rollout.Moved }

func (a *api) getObjectHistory(r *http.Request) (any, error) {
	k, err := keyOf(r)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r, 20)
	if err != nil {
		return nil, err
	}
	moves, err := a.opt.Rollouts.Moves.Of(r.Context(), k, limit)
	if err != nil {
		return nil, err
	}
	out := List[ObjectMoved]{Items: []ObjectMoved{}}
	for _, m := range moves {
		out.Items = append(out.Items, ObjectMoved{m})
	}
	return out, nil
}
