package rollout

import (
	"fmt"
	"time"

	"github.com/skewgate/skewgate/rollout/skew"
	"github.com/skewgate/skewgate/wire"
)

// BakeVerdict is what an analysis says.
type BakeVerdict string

// Verdicts of a bake.
const (
	BakePassed BakeVerdict = "passed"
	BakeFailed BakeVerdict = "failed"
	BakeNoData BakeVerdict = "no-data"
)

// maxStaleRise is how much the share of calls whose instance was not current
// may be higher with the new version.
const maxStaleRise = 0.005

// p99Grain is the difference below which two p99 are not told apart.
const p99Grain = 20 * time.Millisecond

// Analysis compares the new version with the others over a bake.
type Analysis struct {
	Verdict BakeVerdict `json:"verdict"`
	Reason  string      `json:"reason"`
	New     Side        `json:"new"`
	Old     Side        `json:"old"` // all other versions together
}

// Side is one side of the comparison.
type Side struct {
	Calls      int64        `json:"calls"`
	ErrorRatio float64      `json:"errorRatio"`
	StaleRatio float64      `json:"staleRatio"`
	P99        wire.Seconds `json:"p99"` // of Old: the highest of the others
}

// analyse judges the calls in a. Buckets are whole minutes, so the first
// minute may hold calls from before the bake.
func analyse(a *skew.Answer, to string, l Limits) Analysis {
	var newer, older skew.Total
	for version, t := range a.Totals() {
		if version == to {
			newer = t
			continue
		}
		older.Calls += t.Calls
		older.Errors += t.Errors
		older.Stale += t.Stale
		older.P99 = max(older.P99, t.P99)
	}
	out := Analysis{New: sideOf(newer), Old: sideOf(older)}
	errorRise := out.New.ErrorRatio - out.Old.ErrorRatio
	staleRise := out.New.StaleRatio - out.Old.StaleRatio
	slow := older.Calls > 0 && newer.P99 > older.P99+p99Grain && float64(newer.P99) > l.MaxP99Ratio*float64(older.P99)
	switch {
	case !a.Evidence.Complete():
		out.Verdict, out.Reason = BakeNoData, fmt.Sprintf("no-data: %d of %d gateways were heard", a.Evidence.Seen, a.Evidence.Expected)
	case newer.Calls < l.MinRequests:
		out.Verdict, out.Reason = BakeNoData, fmt.Sprintf("no-data: %d requests on %s, %d are needed", newer.Calls, to, l.MinRequests)
	case errorRise > l.MaxErrorRise:
		out.Verdict, out.Reason = BakeFailed, fmt.Sprintf("errors %.2f %% on %s, %.2f %% on the others", 100*out.New.ErrorRatio, to, 100*out.Old.ErrorRatio)
	case staleRise > maxStaleRise:
		out.Verdict, out.Reason = BakeFailed, fmt.Sprintf("stale instances %.2f %% on %s, %.2f %% on the others", 100*out.New.StaleRatio, to, 100*out.Old.StaleRatio)
	case slow:
		out.Verdict, out.Reason = BakeFailed, fmt.Sprintf("p99 %s on %s, %s on the others", newer.P99, to, older.P99)
	default:
		out.Verdict, out.Reason = BakePassed, fmt.Sprintf("errors %.2f %% (others %.2f %%), p99 %s (others %s)",
			100*out.New.ErrorRatio, 100*out.Old.ErrorRatio, newer.P99, older.P99)
	}
	return out
}

func sideOf(t skew.Total) Side {
	s := Side{Calls: t.Calls, P99: wire.Seconds(t.P99)}
	if t.Calls > 0 {
		s.ErrorRatio = float64(t.Errors) / float64(t.Calls)
		s.StaleRatio = float64(t.Stale) / float64(t.Calls)
	}
	return s
}
