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
	Calls, Errors int64
	Stale         int64 // calls whose instance turned out not to be current
	P99           time.Duration
}

// Totals adds up an answer's lines by object version.
func (a *Answer) Totals() map[string]Total {
	totals, latency := map[string]Total{}, map[string]Histogram{}
	for _, l := range a.Lines {
		if l.Version == "" {
			continue
		}
		t := totals[l.Version]
		t.Calls += l.Calls
		t.Errors += l.Errors
		t.Stale += l.Codes[string(wire.StaleInstance)]
		totals[l.Version] = t
		if latency[l.Version] == nil {
			latency[l.Version] = Histogram{}
		}
		latency[l.Version].merge(l.latency)
	}
	for v, t := range totals {
		t.P99 = latency[v].Quantile(0.99)
		totals[v] = t
	}
	return totals
}
