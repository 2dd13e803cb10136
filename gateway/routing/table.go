// Package routing holds the immutable Table by which a gateway decides: which
// class a request belongs to, which versions an app runs, which hosts there
// are. It is a leaf (stdlib only); xds decodes resources into it and the
// gateway swaps it whole.
package routing

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Mode says how much skewgate does for a class (rollout.md §6).
type Mode string

// Modes of a class.
const (
	ModeOwn      Mode = "own"
	ModeAffinity Mode = "affinity"
	ModeObserve  Mode = "observe"
)

// MoveMode says when an object moves to its assigned version (rollout.md §2).
type MoveMode string

// Move modes.
const (
	MoveLazy  MoveMode = "lazy"
	MoveDrain MoveMode = "drain"
	MoveNow   MoveMode = "now"
)

// OnIncompatible says what the guard does (rollout.md §4).
type OnIncompatible string

// What the guard may do.
const (
	Pass    OnIncompatible = "pass"
	Refuse  OnIncompatible = "refuse"
	Upgrade OnIncompatible = "upgrade"
)

// Spec is everything a Table is made of; it is plain data, and comparable by
// its JSON. Build one, then call NewTable.
type Spec struct {
	Version string // names this state of the configuration
	Classes []Class
	Apps    []App
	Hosts   []Host
	Matrix  []Incompatible
	State   []Unreadable
}

// Class is one kind of object and how its requests look.
type Class struct {
	Name           string
	App            string
	Mode           Mode
	Services       []string // full protobuf service names
	Routes         []string // path templates, "/carts/{id}/**"
	IDHeader       string   // header (gRPC: metadata) that names the id when no route does
	OnIncompatible OnIncompatible
	StrictVersion  bool   // no fallback to another version when the assigned one has no host
	Upstream       string // host:port, for ModeObserve only
	Move           Move
	Limits         Limits
}

// Move is a class's budget for planned moves.
type Move struct {
	Mode     MoveMode
	Rate     float64 // moves per second; 0 = no limit
	InFlight int     // 0 = no limit
	Deadline time.Duration
	Idle     time.Duration // how long without an event before an object may be released
}

// Limits bound what a gateway holds for a class.
type Limits struct {
	HoldFor       time.Duration
	HeldPerObject int
	HeldBytes     int64
}

// App is a deployable. No Deployment means follow: any live version will do.
type App struct {
	Name       string
	Deployment []Weighted
}

// Weighted is one version of a deployment (rollout.md §1).
type Weighted struct {
	Version string
	Weight  float64 // 0 never wins; any scale
	Salt    string  // fixed when the version enters the deployment
}

// Host is one session of an app version.
type Host struct {
	Session  string
	Name     string // stable over restarts
	Addr     string
	App      string
	Version  string
	Preview  string
	Classes  []string
	Draining bool
	Ready    bool
	Cordoned bool
}

// Incompatible is one cell of the matrix: a caller version and an object
// version that do not understand each other in one method.
type Incompatible struct {
	Class   string
	Caller  string // app@version
	Object  string // version
	Method  string // "/pkg.Service/Method"; "" = all methods
	Rule    string
	Message string
}

// Unreadable says that code of version Reader cannot load what code of version
// Writer stored for objects of a class.
type Unreadable struct {
	Class   string
	Writer  string // version of the class's app
	Reader  string
	Rule    string
	Message string
}

// Matrix is what the registry knows of versions that must not meet.
type Matrix struct {
	Calls []Incompatible
	State []Unreadable
}

// Table is a Spec made ready for lookups. It never changes and is safe for
// concurrent use; what it returns must not be changed by callers.
type Table struct {
	spec     Spec
	classes  map[string]*Class
	services map[string]*Class
	routes   node
	apps     map[string]*App
	hosts    map[placeKey][]Host
	versions map[appKey][]string
	sessions map[string]Host
	previews map[appKey]bool // app is "" ; class "" stands for any
	matrix   map[cell][]Incompatible
	state    map[stateCell]Unreadable
}

type appKey struct{ class, app, preview string }

type placeKey struct {
	appKey
	version string
}

type cell struct{ class, caller, object string }

type stateCell struct{ class, writer, reader string }

// NewTable checks a Spec and indexes it. All that is wrong is said at once.
func NewTable(s Spec) (*Table, error) {
	t := &Table{
		spec:    s,
		classes: map[string]*Class{}, services: map[string]*Class{}, apps: map[string]*App{},
		hosts: map[placeKey][]Host{}, versions: map[appKey][]string{}, sessions: map[string]Host{},
		previews: map[appKey]bool{}, matrix: map[cell][]Incompatible{}, state: map[stateCell]Unreadable{},
	}
	var errs []error
	for i := range s.Apps {
		errs = append(errs, t.addApp(&s.Apps[i]))
	}
	for i := range s.Classes {
		errs = append(errs, t.addClass(&s.Classes[i]))
	}
	for i := range s.Hosts {
		errs = append(errs, t.addHost(s.Hosts[i]))
	}
	t.sortHosts()
	for _, m := range s.Matrix {
		c := cell{m.Class, m.Caller, m.Object}
		t.matrix[c] = append(t.matrix[c], m)
	}
	for _, u := range s.State {
		t.state[stateCell{u.Class, u.Writer, u.Reader}] = u
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Table) addApp(a *App) error {
	if a.Name == "" || t.apps[a.Name] != nil {
		return fmt.Errorf("app %q: name is empty or given twice", a.Name)
	}
	t.apps[a.Name] = a
	seen := map[string]bool{}
	for _, w := range a.Deployment {
		if w.Version == "" || seen[w.Version] {
			return fmt.Errorf("app %s: version %q is empty or deployed twice", a.Name, w.Version)
		}
		if !(w.Weight >= 0) || math.IsInf(w.Weight, 0) {
			return fmt.Errorf("app %s: version %s has weight %v", a.Name, w.Version, w.Weight)
		}
		seen[w.Version] = true
	}
	return nil
}

func (t *Table) addClass(c *Class) error {
	if c.Name == "" || t.classes[c.Name] != nil {
		return fmt.Errorf("class %q: name is empty or given twice", c.Name)
	}
	t.classes[c.Name] = c
	var errs []error
	switch c.Mode {
	case ModeOwn, ModeAffinity:
		if c.App == "" {
			errs = append(errs, fmt.Errorf("class %s: no app", c.Name))
		}
	case ModeObserve:
		if c.Upstream == "" {
			errs = append(errs, fmt.Errorf("class %s: mode observe without an upstream", c.Name))
		}
	default:
		errs = append(errs, fmt.Errorf("class %s: mode %q; want own, affinity or observe", c.Name, c.Mode))
	}
	switch c.OnIncompatible {
	case "", Pass, Refuse, Upgrade:
	default:
		errs = append(errs, fmt.Errorf("class %s: onIncompatible %q; want pass, refuse or upgrade", c.Name, c.OnIncompatible))
	}
	for _, s := range c.Services {
		if other := t.services[s]; other != nil {
			errs = append(errs, fmt.Errorf("service %s is in %s and in %s", s, other.Name, c.Name))
			continue
		}
		t.services[s] = c
	}
	for _, r := range c.Routes {
		errs = append(errs, t.routes.add(r, c))
	}
	return errors.Join(errs...)
}

func (t *Table) addHost(h Host) error {
	if h.Session == "" || h.Addr == "" {
		return fmt.Errorf("host %q: no session or no address", h.Name)
	}
	if _, twice := t.sessions[h.Session]; twice {
		return fmt.Errorf("session %s is listed twice", h.Session)
	}
	if h.Name == "" {
		h.Name = h.Addr
	}
	t.sessions[h.Session] = h
	if h.Preview != "" {
		t.previews[appKey{preview: h.Preview}] = true
		for _, class := range h.Classes {
			t.previews[appKey{class: class, preview: h.Preview}] = true
		}
	}
	if !h.Ready || h.Draining || h.Cordoned {
		return nil
	}
	for _, class := range h.Classes {
		a := appKey{class, h.App, h.Preview}
		k := placeKey{a, h.Version}
		if len(t.hosts[k]) == 0 {
			t.versions[a] = append(t.versions[a], h.Version)
		}
		t.hosts[k] = append(t.hosts[k], h)
	}
	return nil
}

func (t *Table) sortHosts() {
	for _, hs := range t.hosts {
		slices.SortFunc(hs, func(a, b Host) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Session, b.Session))
		})
	}
	for _, vs := range t.versions {
		slices.Sort(vs)
	}
}

// Spec gives what the table was made of.
func (t *Table) Spec() Spec { return t.spec }

// Version names the state of the configuration.
func (t *Table) Version() string { return t.spec.Version }

// Class finds a class by name, or nil.
func (t *Table) Class(name string) *Class { return t.classes[name] }

// Deployment gives an app's versions and weights; none means follow.
func (t *Table) Deployment(app string) []Weighted {
	if a := t.apps[app]; a != nil {
		return a.Deployment
	}
	return nil
}

// Hosts lists the hosts that may take new objects of class at this version of
// app, by name: ready, not draining, not cordoned.
func (t *Table) Hosts(class, app, version, preview string) []Host {
	return t.hosts[placeKey{appKey{class, app, preview}, version}]
}

// Versions lists the versions of app that have such hosts.
func (t *Table) Versions(class, app, preview string) []string {
	return t.versions[appKey{class, app, preview}]
}

// Session finds a host by its session, whatever its state.
func (t *Table) Session(sid string) (Host, bool) {
	h, ok := t.sessions[sid]
	return h, ok
}

// Preview says whether any host belongs to the preview, whatever its state,
// and whether any of them serves class.
func (t *Table) Preview(name, class string) (known, exports bool) {
	return t.previews[appKey{preview: name}], t.previews[appKey{class: class, preview: name}]
}

// Incompatible says whether a caller (app@version) and an object's version do
// not understand each other in method, and why. A row without a method covers all.
func (t *Table) Incompatible(class, caller, object, method string) (Incompatible, bool) {
	for _, m := range t.matrix[cell{class, caller, object}] {
		if m.Method == "" || m.Method == method {
			return m, true
		}
	}
	return Incompatible{}, false
}

// Unreadable says whether code of version reader is known to be unable to load
// what writer stored for objects of class, and why.
func (t *Table) Unreadable(class, writer, reader string) (Unreadable, bool) {
	u, bad := t.state[stateCell{class, writer, reader}]
	return u, bad
}
