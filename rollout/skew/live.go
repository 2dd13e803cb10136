package skew

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/skewgate/skewgate/wire"
)

// stragglerShare: an older version that carries less than this share of its app's calls lags behind.
const stragglerShare = 0.01

// count finds the versions that are live and the callers that lag: those that
// have not called for a minute, and older versions with hardly a call left.
func (a *Answer) count() {
	live := map[string]bool{}
	calls, total := map[string]int64{}, map[string]int64{}
	newest, last := map[string]string{}, map[string]time.Time{}
	for _, l := range a.Lines {
		if l.Version != "" {
			live[l.App+"@"+l.Version] = true
		}
		app, version, ok := strings.Cut(l.Caller, "@")
		if !ok {
			continue
		}
		live[l.Caller] = true
		calls[l.Caller] += l.Calls
		total[app] += l.Calls
		last[l.Caller] = later(last[l.Caller], l.Last)
		if CompareVersions(version, newest[app]) > 0 {
			newest[app] = version
		}
	}
	a.VersionsLive = len(live)
	for caller, n := range calls {
		app, version, _ := strings.Cut(caller, "@")
		quiet := a.Evidence.At.Sub(last[caller]) > time.Minute
		rare := version != newest[app] && float64(n) < stragglerShare*float64(total[app])
		if quiet || rare {
			a.Stragglers = append(a.Stragglers, caller)
		}
	}
	slices.Sort(a.Stragglers)
}

// CompareVersions orders version names as people do: runs of digits by value.
func CompareVersions(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// Total is everything that was called on one version of an app.
type Total struct {
	Calls   int64     `json:"calls"`
	Errors  int64     `json:"errors"`
	Stale   int64     `json:"stale"` // calls whose instance turned out not to be current
	Latency Histogram `json:"latency"`
}

// Totals adds up an answer's lines by object version.
func (a *Answer) Totals() map[string]Total {
	totals := map[string]Total{}
	for _, l := range a.Lines {
		if l.Version == "" {
			continue
		}
		totals[l.Version] = totals[l.Version].Plus(Total{
			Calls: l.Calls, Errors: l.Errors, Stale: l.Codes[string(wire.StaleInstance)], Latency: l.latency,
		})
	}
	return totals
}

// Plus adds o.
func (t Total) Plus(o Total) Total { return t.add(o, 1) }

// Minus takes away o, what was counted up to an earlier moment.
func (t Total) Minus(o Total) Total { return t.add(o, -1) }

func (t Total) add(o Total, sign int64) Total {
	sum := Total{Calls: t.Calls + sign*o.Calls, Errors: t.Errors + sign*o.Errors, Stale: t.Stale + sign*o.Stale, Latency: Histogram{}}
	sum.Latency.merge(t.Latency)
	for b, n := range o.Latency {
		sum.Latency[b] += sign * n
	}
	return sum
}
