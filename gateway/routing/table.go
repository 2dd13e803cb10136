// Package routing holds the immutable Table by which a gateway decides: which
// class a request belongs to, which versions an app runs, which hosts there
// are. It is a leaf (stdlib only); xds decodes resources into it and the
// gateway swaps it whole.
package routing

import "time"

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
