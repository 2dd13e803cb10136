// Package report is what the checker answers: the model, which is the JSON
// contract that tools rely on, and its renderings for people and for CI.
//
// Field names never change meaning. Fields may be added.
package report

import "encoding/json"

// APIVersion is the version of every document of this package.
const APIVersion = "skewgate/v1"

// The kinds of documents.
const (
	KindReport = "CompatReport"
	KindPlan   = "CompatPlan"
)

// The verdicts.
const (
	Compatible   = "compatible"
	Incompatible = "incompatible"
)

// The orders of a rollout.
const (
	AnyOrder       = "any"
	ObjectsFirst   = "objects-first"
	WorkersFirst   = "workers-first"
	ExpandContract = "expand-contract"
)

// What is known about going back.
const (
	RollbackSafe       = "safe"
	RollbackUnsafe     = "unsafe-after-first-write"
	RollbackNotChecked = "not-checked"
)

// Report is the answer for two versions, or for many (a matrix).
type Report struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Old        string    `json:"old"`
	New        string    `json:"new"`
	Versions   []string  `json:"versions,omitempty"` // of a matrix, oldest first
	Window     string    `json:"window"`
	Strict     bool      `json:"strict,omitempty"`
	Verdict    string    `json:"verdict"`
	Order      string    `json:"order"`
	Rollback   string    `json:"rollback"`
	Pairs      []Pair    `json:"pairs"`
	State      []State   `json:"state"`
	Findings   []Finding `json:"findings"`
	Classes    []Class   `json:"classes,omitempty"`
	Notices    []Notice  `json:"notices,omitempty"`
	Summary    Summary   `json:"summary"`
}

// Pair says whether a worker of one version may meet an object of another.
type Pair struct {
	Worker string `json:"worker"`
	Object string `json:"object"`
	OK     bool   `json:"ok"`
}

// State says whether code of one version may load what another wrote.
type State struct {
	Writer string `json:"writer"`
	Reader string `json:"reader"`
	OK     bool   `json:"ok"`
}

// Class is the answer for one class alone.
type Class struct {
	Class    string   `json:"class"`
	Order    string   `json:"order"`
	Rollback string   `json:"rollback"`
	Services []string `json:"services,omitempty"`
	State    []string `json:"state,omitempty"`
	Opaque   bool     `json:"opaque,omitempty"` // state in the app's own form: not checked
	Pairs    []Pair   `json:"pairs,omitempty"`
	States   []State  `json:"states,omitempty"`
}

// Finding is one change with one effect on one leg in one direction.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity string   `json:"severity"`
	Effect   string   `json:"effect"`
	Leg      string   `json:"leg"`
	InWindow bool     `json:"inWindow"`
	Writer   string   `json:"writer"`
	Reader   string   `json:"reader"`
	Encoding string   `json:"encoding"`
	Profile  string   `json:"profile"`
	Class    string   `json:"class"`
	Classes  []string `json:"classes,omitempty"` // where there is more than one
	Path     string   `json:"path"`
	Methods  []string `json:"methods"` // the first few
	Reached  int      `json:"reached"` // how many there are
	Old      *Place   `json:"old"`
	New      *Place   `json:"new"`
	Message  string   `json:"message"`
	Fix      string   `json:"fix"`
	Waived   bool     `json:"waived"`
	Reason   string   `json:"reason,omitempty"` // of the waiver
	Witness  *Witness `json:"witness"`

	DefaultSeverity string `json:"defaultSeverity,omitempty"` // where the window made it another
	Title           string `json:"-"`                         // the rule in one line
	Expand          string `json:"-"`                         // what goes into release 1, where no order helps
	Contract        string `json:"-"`                         // what goes into release 2
	When            string `json:"-"`                         // when it breaks, for people
}

// Place is where a declaration stands; 1-based.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Witness shows a fault.
type Witness struct {
	Kind     string          `json:"kind"` // decode or dispatch
	Executed bool            `json:"executed"`
	Type     string          `json:"type,omitempty"` // the writer's message
	Value    json.RawMessage `json:"value"`          // what was written, in ProtoJSON where it has such a form; else null
	Bytes    []byte          `json:"bytes"`          // base64 of what was written
	Outcome  string          `json:"outcome"`
}

// The kinds of a witness.
const (
	Decode   = "decode"   // bytes were written and read
	Dispatch = "dispatch" // looked up, not sent
)

// Notice is something that is no finding and that a person should know: state
// that was not checked or has another name, a waiver that is expired or unused.
type Notice struct {
	Kind    string `json:"kind"`
	Class   string `json:"class,omitempty"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// The kinds of notices.
const (
	WaiverUnused  = "waiver-unused"
	WaiverExpired = "waiver-expired"
	NotChecked    = "not-checked"
	StateRenamed  = "state-renamed" // a state message is compared with one of another name
)

// Summary counts findings in the window, and what was checked.
type Summary struct {
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Infos    int `json:"infos"`
	Waived   int `json:"waived"`
	Checks   int `json:"checks"`
}

// Fails says that a finding in the window is at or above a severity, and not
// waived: exit status 1.
func (r *Report) Fails(failOn string) bool {
	for _, f := range r.Findings {
		if f.InWindow && !f.Waived && (f.Severity == "error" || f.Severity == failOn) {
			return true
		}
	}
	return false
}

// name is what people call a side of a check; a version of a matrix has its own.
func (r *Report) name(label string) string {
	switch {
	case len(r.Versions) > 0:
		return label
	case label == "old":
		return r.Old
	case label == "new":
		return r.New
	default:
		return label
	}
}

// Plan is how to roll out.
type Plan struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Old        string `json:"old"`
	New        string `json:"new"`
	Order      string `json:"order"`
	Rollback   string `json:"rollback"`
	Steps      []Step `json:"steps"`
	// Classes have an order each where no order is safe for all of them.
	Classes  []ClassOrder `json:"classes,omitempty"`
	Releases []Release    `json:"releases,omitempty"` // expand and contract
	NoReturn *NoReturn    `json:"noReturn,omitempty"` // where rollback is unsafe
	Notices  []Notice     `json:"notices,omitempty"`
}

// Step is one step of a rollout, and which versions live during it.
type Step struct {
	Do            string   `json:"do"`
	Workers       []string `json:"workers"`
	Objects       []string `json:"objects"`
	Compatible    bool     `json:"compatible"`
	NoReturn      bool     `json:"noReturn,omitempty"` // from here on, going back is unsafe
	NoReturnRules []string `json:"noReturnRules,omitempty"`
	Classes       []string `json:"classes,omitempty"` // where objects of these only are new by then
}

// NoReturn is the step after which there is no way back, and why: what new
// code stores from then on that old code cannot load.
type NoReturn struct {
	Step    int      `json:"step"` // of the plan, from 1
	To      string   `json:"to"`   // the version that is out of reach
	Changes []Change `json:"changes"`
}

// Release is one of the two releases where no order helps.
type Release struct {
	Name    string   `json:"name"` // expand, contract
	Order   string   `json:"order"`
	Changes []Change `json:"changes"`
}

// Change is what goes into a release.
type Change struct {
	Path string `json:"path"`
	Rule string `json:"rule"`
	Do   string `json:"do"`
	Why  string `json:"why,omitempty"` // where it is not that no order of rollout takes it
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}
