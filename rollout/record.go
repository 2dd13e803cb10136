package rollout

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/rollout/assign"
	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

// Phase is where a rollout stands.
type Phase string

// Phases. Completed, Aborted and Frozen are ends; Retry and Undo begin anew.
const (
	Progressing Phase = "progressing"
	Paused      Phase = "paused" // by a person, by lack of data or by a failed bake; Record.Rollout.Reason says which
	Completed   Phase = "completed"
	Aborted     Phase = "aborted" // back to what was before
	Frozen      Phase = "frozen"  // going back would break objects that ran the new version: no further, no back
)

// Ended says that the controller takes no more steps.
func (p Phase) Ended() bool { return p == Completed || p == Aborted || p == Frozen }

// Version is one version of a deployment, as recorded.
type Version struct {
	Name   string  `json:"name"`
	Salt   string  `json:"salt"`
	Weight float64 `json:"weight"`
}

// Move says how objects that are active follow a new assignment.
type Move struct {
	Mode     routing.MoveMode `json:"mode"`
	Rate     float64          `json:"rate"`     // moves per second and class; 0 = the class's own budget
	InFlight int              `json:"inFlight"` // moves at a time and class; 0 = the class's own budget
	Deadline wire.Seconds     `json:"deadline"` // of one release
	MinPause wire.Seconds     `json:"minPause"` // between two moves of one object
}

// Limits say when a bake has failed, by comparison of the new version with the others.
type Limits struct {
	MinRequests  int64   `json:"minRequests"`  // of the new version in the bake; fewer is no data, which is not success
	MaxErrorRise float64 `json:"maxErrorRise"` // how much the share of failed calls may be higher; 0.01 = one percentage point
	MaxP99Ratio  float64 `json:"maxP99Ratio"`  // how many times the others' p99 it may be
}

// Orders of a rollout of objects and one of their workers.
const (
	OrderObjectsFirst = "objects-first" // refuse when workers that need the new version are live already
	OrderAny          = "any"           // let the objects catch up
)

// Spec is what a person asks for when starting a rollout.
type Spec struct {
	App       string       `json:"app"`
	To        string       `json:"to"`
	Steps     []float64    `json:"steps"` // percent, rising, the last is where it ends
	Bake      wire.Seconds `json:"bake"`  // after each step; 0 = no bake and no analysis
	Move      Move         `json:"move"`
	Limits    Limits       `json:"limits"`
	Order     string       `json:"order,omitempty"` // objects-first, which is the default, or any
	AutoAbort bool         `json:"autoAbort"`       // a failed bake goes back instead of pausing
	Override  string       `json:"override"`        // why preflight's refusals are overruled
	Replace   bool         `json:"replace"`         // start over the one that is under way
	From      string       `json:"from"`            // what runs now, where no deployment is recorded and several versions are live
	By        string       `json:"by"`              // who asks
}

// Rollout is one rollout under way or ended.
type Rollout struct {
	ID      string    `json:"id"`
	Spec    Spec      `json:"spec"`
	Base    []Version `json:"base"` // the deployment it began with, To included
	Step    int       `json:"step"` // index in Spec.Steps
	Phase   Phase     `json:"phase"`
	Reason  string    `json:"reason,omitempty"` // why it is paused or ended
	Crossed time.Time `json:"crossed,omitzero"` // when the first object ran the new version, where its state cannot be read by the old

	Before Spent `json:"before"` // the budgets' counters when it began

	StartedAt time.Time `json:"startedAt"`
	StepAt    time.Time `json:"stepAt"`          // when this step's weights were set
	BakeAt    time.Time `json:"bakeAt,omitzero"` // when this step's bake began: at once, or when its moves were done

	// What the minute in which the bake began had counted by then.
	BakeBefore map[string]skew.Total `json:"bakeBefore,omitempty"`

	EndedAt time.Time `json:"endedAt,omitzero"`
}

// Weight is the share in percent that the running step gives to the new version.
func (r *Rollout) Weight() float64 {
	if r.Step < 0 || r.Step >= len(r.Spec.Steps) {
		return 0
	}
	return r.Spec.Steps[r.Step]
}

// Record is everything known of one app: what is deployed and the newest
// rollout. It changes only by compare-and-set on Revision.
type Record struct {
	App        string    `json:"app"`
	Revision   int64     `json:"revision"`
	Generation int64     `json:"generation"`           // counts changes of Deployment
	Deployment []Version `json:"deployment,omitempty"` // empty: follow, any live version will do
	Move       Move      `json:"move"`                 // how active objects follow the deployment
	Rollout    *Rollout  `json:"rollout,omitempty"`
}

// Versions gives the deployment as assign wants it.
func (r *Record) Versions() []assign.Version {
	out := make([]assign.Version, len(r.Deployment))
	for i, v := range r.Deployment {
		out[i] = assign.Version(v)
	}
	return out
}

func recorded(vs []assign.Version) []Version {
	out := make([]Version, len(vs))
	for i, v := range vs {
		out[i] = Version(v)
	}
	return out
}

// Errors of specs and records.
var (
	ErrSpec     = errors.New("this rollout cannot be")
	ErrNoRecord = errors.New("no rollout and no deployment is recorded for this app")
	ErrConflict = errors.New("somebody else changed the rollout at the same time")
)

// withDefaults fills in what the person left out.
func (s Spec) withDefaults() Spec {
	if len(s.Steps) == 0 {
		s.Steps = []float64{100}
	}
	if s.Order == "" {
		s.Order = OrderObjectsFirst
	}
	if s.Move.Mode == "" {
		s.Move.Mode = routing.MoveLazy
	}
	if s.Move.Deadline == 0 {
		s.Move.Deadline = wire.Seconds(30 * time.Second)
		if s.Move.Mode == routing.MoveNow {
			s.Move.Deadline = wire.Seconds(2 * time.Second)
		}
	}
	if s.Limits.MinRequests == 0 {
		s.Limits.MinRequests = 50
	}
	if s.Limits.MaxErrorRise == 0 {
		s.Limits.MaxErrorRise = 0.01
	}
	if s.Limits.MaxP99Ratio == 0 {
		s.Limits.MaxP99Ratio = 2
	}
	return s
}

// Validate says what is wrong with s, or nil.
func (s Spec) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrSpec, fmt.Sprintf(format, args...))
	}
	modes := []routing.MoveMode{routing.MoveLazy, routing.MoveDrain, routing.MoveNow}
	switch {
	case !goodName(s.App):
		return bad("the app's name is missing or has a character that is not allowed: %q", s.App)
	case !goodName(s.To):
		return bad("--to must name a version, not %q", s.To)
	case s.Bake < 0 || s.Move.Deadline < 0 || s.Move.MinPause < 0:
		return bad("durations must not be negative")
	case !slices.Contains(modes, s.Move.Mode):
		return bad("--move %q: use lazy, drain or now", s.Move.Mode)
	case s.Order != OrderObjectsFirst && s.Order != OrderAny:
		return bad("--order %q: use objects-first or any", s.Order)
	case !(s.Move.Rate >= 0) || math.IsInf(s.Move.Rate, 0) || s.Move.InFlight < 0:
		return bad("--move-rate and --max-moves must not be negative")
	case !(s.Limits.MaxErrorRise >= 0 && s.Limits.MaxErrorRise <= 1) || !(s.Limits.MaxP99Ratio >= 1) || s.Limits.MinRequests < 0:
		return bad("limits are out of range: error rise 0 to 1, p99 ratio at least 1")
	}
	last := 0.0
	for _, p := range s.Steps {
		if !(p > last && p <= 100) {
			return bad("steps must rise, each above 0 and at most 100, not %v", s.Steps)
		}
		last = p
	}
	return nil
}

// goodName accepts what may be part of a store key, a header and a command line.
func goodName(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune("/@{}:\"'\\,", r)
	})
}
