package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout/assign"
	"github.com/skewgate/skewgate/wire"
)

// snapshot is one state of the configuration, ready for deciding.
type snapshot struct {
	table  *routing.Table
	origin *routing.Table              // what SetTable was given; table has newer hosts when they were read from the store
	assign map[string][]assign.Version // by app
}

func newSnapshot(table, origin *routing.Table) *snapshot {
	s := &snapshot{table: table, origin: origin, assign: map[string][]assign.Version{}}
	for _, app := range table.Spec().Apps {
		for _, w := range app.Deployment {
			s.assign[app.Name] = append(s.assign[app.Name], assign.Version{Name: w.Version, Salt: w.Salt, Weight: w.Weight})
		}
	}
	return s
}

// decision says which versions may run one request's object. It is made of a
// snapshot and a request and nothing else.
type decision struct {
	snap    *snapshot
	class   *routing.Class
	key     owners.Key
	preview string
	by      string // what is hashed for the assignment: the id; without a pin the client's version key, if it sent one

	asked    string // version that an override asks for; "" when none is
	override string // why an override is ignored already; "" while it may still apply
	answer   bool   // an override was sent, so it must be answered

	deferred bool  // the move budget kept the object at its last version
	paid     bool  // this request has taken its move from the budget already
	moved    *Move // what this request's acquire changed
}

// decide makes the decision for a request, or says why there is none.
func decide(s *snapshot, req Request, key owners.Key) (decision, error) {
	d := decision{snap: s, class: req.Class, key: key, preview: req.Preview, by: key.ID}
	if req.VersionKey != "" && req.Class.Mode != routing.ModeOwn {
		d.by = req.VersionKey // an owned object has one version, whoever calls
	}
	if req.Preview != "" {
		if err := checkPreview(s.table, req); err != nil {
			return decision{}, err
		}
	}
	if req.Overrides != "" {
		d.answer = true
		d.asked, d.override = readOverride(s, req)
	}
	return d, nil
}

func checkPreview(t *routing.Table, req Request) error {
	if len(req.Preview) > maxWord || !validPreview(req.Preview) {
		return &wire.Problem{Code: wire.PreviewNotExported, Detail: "the name of the preview is not valid"}
	}
	known, exports := t.Preview(req.Preview, req.Class.Name)
	switch {
	case !known:
		return &wire.Problem{Code: wire.NoHost, Detail: fmt.Sprintf("no host belongs to preview %s", req.Preview)}
	case !exports:
		return &wire.Problem{Code: wire.PreviewNotExported, Detail: fmt.Sprintf("preview %s has no %s", req.Preview, req.Class.Name)}
	}
	return nil
}

// validPreview accepts DNS-label-like names, which are safe in keys and addresses.
func validPreview(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return s != ""
}

// Why an override was ignored, as clients read it in Skewgate-Override.
const (
	ignoredMalformed = "malformed"
	ignoredOtherApp  = "other-app"   // it names other apps only
	ignoredUnknown   = "not-in-use"  // neither deployed nor, without a deployment, live
	ignoredActive    = "active"      // the object runs another version now; a header does not move it
	ignoredNoHost    = "no-host"     // no ready host of that version
	ignoredBudget    = "move-budget" // the class's moves are used up
	ignoredMode      = "mode"        // the class is only observed
	ignoredNotServed = "not-served"  // the call failed before any host took it
	ignoredState     = "state"       // that version is known not to read the object's state
)

// readOverride gives the version asked for, or why it cannot be had.
func readOverride(s *snapshot, req Request) (asked, ignored string) {
	version, ok, err := routing.ParseOverride(req.Overrides, req.Class.App)
	switch {
	case err != nil:
		return "", ignoredMalformed
	case !ok:
		return "", ignoredOtherApp
	case req.Class.Mode == routing.ModeObserve:
		return version, ignoredMode
	}
	deployed := s.assign[req.Class.App]
	hosts := s.table.Versions(req.Class.Name, req.Class.App, req.Preview)
	switch {
	case len(deployed) > 0 && req.Preview == "" && !slices.ContainsFunc(deployed, func(v assign.Version) bool { return v.Name == version }):
		return version, ignoredUnknown
	case !slices.Contains(hosts, version):
		if len(deployed) == 0 || req.Preview != "" {
			return version, ignoredUnknown
		}
		return version, ignoredNoHost
	}
	return version, ""
}

// overrideAnswer is the value of Skewgate-Override for an object that runs version, or "".
func (d *decision) overrideAnswer(version string) string {
	switch {
	case !d.answer:
		return ""
	case d.asked != "" && d.asked == version:
		return "applied"
	case d.override != "":
		return "ignored; reason=" + d.override
	case d.deferred:
		return "ignored; reason=" + ignoredBudget
	case version == "":
		return "ignored; reason=" + ignoredNotServed
	}
	return "ignored; reason=" + ignoredActive
}

// wanted is the version asked for, if the override stands so far.
func (d *decision) wanted() string {
	if d.override != "" {
		return ""
	}
	return d.asked
}

// errNoVersion says that no version may run the object now.
var errNoVersion = errors.New("no version has a ready host")

// versions lists the versions with a ready host that may run the object, best
// first. last is the version that ran it last, "" for none.
//
//	override stands           that version
//	app has a deployment      by assignment (assign.Choice); strictVersion leaves only the first, host or no host
//	no deployment, preview    follow: last if it has a host, then whatever hosts it hashes to
func (d *decision) versions(last string) ([]string, error) {
	if v := d.wanted(); v != "" {
		switch {
		case !d.ready(v):
			d.override = ignoredNoHost
		case last != "" && !d.reads(last, v):
			d.override = ignoredState
		default:
			return []string{v}, nil
		}
	}
	live := d.snap.table.Versions(d.class.Name, d.class.App, d.preview)
	if !d.deployed() {
		return d.follow(live, last)
	}
	choice := assign.Choice{
		Versions: d.snap.assign[d.class.App], Class: d.class.Name, ID: d.by, Last: last,
		Ready: func(v string) bool { return slices.Contains(live, v) }, Reads: d.reads, Strict: d.class.StrictVersion,
	}
	if ready := choice.Now(); len(ready) > 0 {
		return ready, nil
	}
	return nil, d.nobody(choice, live)
}

// nobody says why no version may run the object now.
func (d *decision) nobody(c assign.Choice, live []string) error {
	may := c.Assigned()
	if len(may) == 0 {
		return fmt.Errorf("%w: all weights of %s are zero", errNoVersion, d.class.App)
	}
	for _, v := range live {
		for _, writer := range append([]string{c.Last}, may...) {
			if u, bad := d.snap.table.Unreadable(d.class.Name, writer, v); bad && !slices.Contains(may, v) {
				return fmt.Errorf("%w: the object waits for a host of %v, and %s cannot stand in: it cannot read the state that %s stored (%s)", errNoVersion, may, v, writer, u.Rule)
			}
		}
	}
	return fmt.Errorf("%w: the object should run %v of %s, ready are %v", errNoVersion, may, d.class.App, live)
}

// reads says that nothing is known against reader loading what writer stored.
func (d *decision) reads(writer, reader string) bool {
	_, bad := d.snap.table.Unreadable(d.class.Name, writer, reader)
	return !bad
}

// follow keeps an object at its last version where it can; otherwise it goes
// to whichever host it hashes to, of whatever version.
func (d *decision) follow(live []string, last string) ([]string, error) {
	if len(live) == 0 {
		return nil, errNoVersion
	}
	top := func(version string) uint64 {
		if version == last {
			return math.MaxUint64
		}
		h, _ := d.place(version, nil)
		return rendezvous(h.Name, d.key)
	}
	out := slices.Clone(live)
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(top(b), top(a)) })
	return out, nil
}

// deployed says whether the object's app has a deployment, so that changing
// the object's version is a planned move.
func (d *decision) deployed() bool { return d.preview == "" && len(d.snap.assign[d.class.App]) > 0 }

// ready says whether a version has a host that takes new objects.
func (d *decision) ready(version string) bool {
	return len(d.snap.table.Hosts(d.class.Name, d.class.App, version, d.preview)) > 0
}

// place picks the host for an object by rendezvous over the stable names, so
// that a restarted host gets its objects back and all gateways agree. skip
// lists sessions that were just refused.
func (d *decision) place(version string, skip []string) (routing.Host, bool) {
	var best routing.Host
	var top uint64
	found := false
	for _, h := range d.snap.table.Hosts(d.class.Name, d.class.App, version, d.preview) {
		if slices.Contains(skip, h.Session) {
			continue
		}
		if s := rendezvous(h.Name, d.key); !found || s > top || (s == top && h.Session > best.Session) {
			best, top, found = h, s, true
		}
	}
	return best, found
}

// rendezvous scores a host for an object: FNV-1a over name, class and id, then
// mixed (murmur3's finalizer) because FNV's high bits are weak on short input.
func rendezvous(name string, k owners.Key) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [...]string{name, k.Class, k.ID} {
		for i := 0; i < len(s); i++ {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // ends each part; not a byte of UTF-8
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// verdict is what the guard says of one call.
type verdict int

const (
	allowed    verdict = iota
	refused            // the class refuses such calls
	upgradable         // move the object first, then serve
)

// guard says whether a caller may call an object that runs version. rule is
// the row that speaks against it, also where it is passed.
func (d *decision) guard(req Request, version string) (verdict, *routing.Incompatible) {
	if req.Caller == "" {
		return allowed, nil
	}
	row, bad := d.snap.table.Incompatible(d.class.Name, req.Caller, version, req.Method)
	if !bad {
		return allowed, nil
	}
	switch d.class.OnIncompatible {
	case routing.Refuse:
		return refused, &row
	case routing.Upgrade:
		vs, err := d.versions(version)
		if err != nil || vs[0] == version || !d.deployed() {
			return refused, &row
		}
		if _, still := d.snap.table.Incompatible(d.class.Name, req.Caller, vs[0], req.Method); still {
			return refused, &row
		}
		return upgradable, &row
	}
	return allowed, &row
}
