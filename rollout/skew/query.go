package skew

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/wire"
)

// Query says what to look for. Zero values mean everything.
type Query struct {
	Class  string
	Caller string // app@version, or app for all its versions
	App    string // of the objects
	Since  time.Duration
}

// ErrQuery says that a question cannot be asked.
var ErrQuery = errors.New("no such skew query")

// MaxSince is how far back tallies go.
const MaxSince = 7 * 24 * time.Hour

// Answer is who talked to whom, and what that is worth.
type Answer struct {
	Lines    []Line   `json:"lines"`
	Evidence Evidence `json:"evidence"`

	VersionsLive int      `json:"versionsLive"` // app@version that called or were called
	Stragglers   []string `json:"stragglers,omitempty"`
}

// Line is one caller version and one object version of one class.
type Line struct {
	Caller  string       `json:"caller"` // app@version, Unidentified or Other
	Class   string       `json:"class"`
	App     string       `json:"app"`
	Version string       `json:"version"` // of the object; "" when calls reached no host
	Calls   int64        `json:"calls"`
	Rate    float64      `json:"callsPerSecond"`
	Objects int64        `json:"objects"` // distinct, ±1.6 %
	Errors  int64        `json:"errors"`
	P50     wire.Seconds `json:"p50"`
	P99     wire.Seconds `json:"p99"`
	Last    time.Time    `json:"last"`
	Compat  Verdict      `json:"compat"`

	Methods      []Method         `json:"methods"`
	Codes        map[string]int64 `json:"codes,omitempty"` // calls by what went wrong
	Incompatible []Incompatible   `json:"incompatible,omitempty"`

	latency Histogram
}

// Method is the calls of one method within a Line.
type Method struct {
	Name   string    `json:"name"`
	Calls  int64     `json:"calls"`
	Errors int64     `json:"errors"`
	Last   time.Time `json:"last"`
}

// Evidence says what an answer rests on. Tallies are counted in whole minutes,
// beyond an hour in whole hours: calls up to one of them before From are in.
type Evidence struct {
	At       time.Time    `json:"at"`    // by the store's clock
	From     time.Time    `json:"from"`  // asked for
	Since    time.Time    `json:"since"` // from when on there are tallies; later than From when gateways have not run that long
	Age      wire.Seconds `json:"age"`   // of the oldest of the newest writes of the gateways seen
	Seen     int          `json:"gatewaysSeen"`
	Expected int          `json:"gatewaysExpected"`
	Missing  []string     `json:"gatewaysMissing,omitempty"`
	Folded   int64        `json:"folded"` // calls counted under Other in the window
}

// Complete says that every expected gateway was heard, and at least one.
func (e Evidence) Complete() bool { return e.Seen > 0 && e.Seen == e.Expected }

// Covers says that tallies go back to From.
func (e Evidence) Covers() bool { return !e.Since.After(e.From) }

// Query answers q with what the matrices know about each pair. matrices may be nil.
func (r *Reader) Query(ctx context.Context, q Query, matrices Matrices) (*Answer, error) {
	if q.Since <= 0 || q.Since > MaxSince {
		return nil, fmt.Errorf("%w: it looks back more than 0 and at most %s, not %s", ErrQuery, MaxSince, q.Since)
	}
	e, err := r.read(ctx, q.Since)
	if err != nil {
		return nil, err
	}
	a := &Answer{Evidence: e.summary(q.Since)}
	lines := map[pair]*Line{}
	seconds := max(e.now.Sub(later(e.from, a.Evidence.Since)).Seconds(), 1)
	for k, row := range e.rows {
		if !q.matches(k) {
			continue
		}
		l := lines[k.pair()]
		if l == nil {
			l = &Line{Caller: k.Caller, Class: k.Class, App: k.App, Version: k.Version, Codes: map[string]int64{}, latency: Histogram{}}
			lines[k.pair()] = l
		}
		l.add(k, row)
		if k.Caller == Other {
			a.Evidence.Folded += row.Calls
		}
	}
	for p, l := range lines {
		if s := e.sketches[p]; s != nil {
			l.Objects = s.count()
		}
		l.finish(seconds, matrices[l.Class])
		a.Lines = append(a.Lines, *l)
	}
	slices.SortFunc(a.Lines, compareLines)
	a.count()
	return a, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (q Query) matches(k Key) bool {
	if q.Class != "" && q.Class != k.Class || q.App != "" && q.App != k.App {
		return false
	}
	return q.Caller == "" || q.Caller == k.Caller || strings.HasPrefix(k.Caller, q.Caller+"@")
}

func (l *Line) add(k Key, r *row) {
	last := time.UnixMilli(r.Last)
	l.Calls += r.Calls
	l.Last = later(l.Last, last)
	l.latency.merge(r.Latency)
	i := slices.IndexFunc(l.Methods, func(m Method) bool { return m.Name == k.Method })
	if i < 0 {
		l.Methods = append(l.Methods, Method{Name: k.Method})
		i = len(l.Methods) - 1
	}
	m := &l.Methods[i]
	m.Calls += r.Calls
	m.Last = later(m.Last, last)
	if k.failed() {
		m.Errors += r.Calls
		l.Errors += r.Calls
	}
	if k.Code != "" {
		l.Codes[k.Code] += r.Calls
	}
}

func (l *Line) finish(seconds float64, m *Matrix) {
	l.Rate = float64(l.Calls) / seconds
	l.P50, l.P99 = wire.Seconds(l.latency.Quantile(0.5)), wire.Seconds(l.latency.Quantile(0.99))
	slices.SortFunc(l.Methods, func(a, b Method) int { return cmp.Compare(b.Calls, a.Calls) })
	if l.Version == "" {
		l.Compat = NotApplicable
		return
	}
	bad, known := m.Pair(l.Caller, l.Version)
	l.Incompatible = bad
	switch {
	case !known:
		l.Compat = NotKnown
	case len(bad) == 0:
		l.Compat = OK
	default:
		l.Compat = Partial
		for _, b := range bad {
			if b.Method == "" || slices.ContainsFunc(l.Methods, func(m Method) bool { return m.Name == b.Method || m.Name == Other }) {
				l.Compat = Fail
			}
		}
	}
}

func compareLines(a, b Line) int {
	return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Version, b.Version))
}

// after says that ins is the later run of one gateway. Within one millisecond
// the one that has not said goodbye is: it was started while the other ended.
func (ins instance) after(other instance) bool {
	if ins.flushed.Equal(other.flushed) {
		return other.closed && !ins.closed
	}
	return ins.flushed.After(other.flushed)
}

// summary says which gateways were heard. Runs of one gateway count once.
func (e *evidence) summary(since time.Duration) Evidence {
	out := Evidence{At: e.now, From: e.now.Add(-since), Since: e.now}
	latest := map[string]instance{}
	for _, ins := range e.instances {
		if ins.started.Before(out.Since) {
			out.Since = ins.started
		}
		if l, ok := latest[ins.gateway]; !ok || ins.after(l) {
			latest[ins.gateway] = ins
		}
	}
	for name, ins := range latest {
		age := e.now.Sub(ins.flushed)
		switch {
		case ins.closed || age > ForgetAfter:
		case age <= FreshFor:
			out.Seen++
			out.Expected++
			out.Age = max(out.Age, wire.Seconds(age))
		default:
			out.Expected++
			out.Missing = append(out.Missing, name)
		}
	}
	slices.Sort(out.Missing)
	return out
}
