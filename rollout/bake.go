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

// Latencies are compared at the highest quantile, up to p99, that has tailCalls
// calls above it on both sides: the p99 of fifty calls is one call's bad luck.
// Differences below latencyGrain are not told apart.
const (
	tailCalls    = 10
	latencyGrain = 20 * time.Millisecond
)

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
	Quantile   float64      `json:"quantile"` // of Latency
	Latency    wire.Seconds `json:"latency"`
}

// analyse judges the calls in a, less those of before: buckets are whole
// minutes, and the first began before the bake did.
func analyse(a *skew.Answer, before map[string]skew.Total, to string, l Limits) Analysis {
	var newer, older skew.Total
	for version, t := range a.Totals() {
		t = t.Minus(before[version])
		if version == to {
			newer = newer.Plus(t)
		} else {
			older = older.Plus(t)
		}
	}
	out := Analysis{New: sideOf(newer, older), Old: sideOf(older, newer)}
	errorRise := out.New.ErrorRatio - out.Old.ErrorRatio
	staleRise := out.New.StaleRatio - out.Old.StaleRatio
	n, o := time.Duration(out.New.Latency), time.Duration(out.Old.Latency)
	p := fmt.Sprintf("p%.0f", 100*out.New.Quantile)
	switch {
	case !a.Evidence.Complete():
		out.Verdict, out.Reason = BakeNoData, fmt.Sprintf("no-data: %d of %d gateways were heard", a.Evidence.Seen, a.Evidence.Expected)
	case newer.Calls < l.MinRequests:
		out.Verdict, out.Reason = BakeNoData, fmt.Sprintf("no-data: %d requests on %s, %d are needed", newer.Calls, to, l.MinRequests)
	case errorRise > l.MaxErrorRise:
		out.Verdict, out.Reason = BakeFailed, fmt.Sprintf("errors %.2f %% on %s, %.2f %% on the others", 100*out.New.ErrorRatio, to, 100*out.Old.ErrorRatio)
	case staleRise > maxStaleRise:
		out.Verdict, out.Reason = BakeFailed, fmt.Sprintf("stale instances %.2f %% on %s, %.2f %% on the others", 100*out.New.StaleRatio, to, 100*out.Old.StaleRatio)
	case older.Calls > 0 && n > o+latencyGrain && float64(n) > l.MaxP99Ratio*float64(o):
		out.Verdict, out.Reason = BakeFailed, fmt.Sprintf("%s %s on %s, %s on the others", p, round(n), to, round(o))
	default:
		out.Verdict, out.Reason = BakePassed, fmt.Sprintf("errors %.2f %% (others %.2f %%), %s %s (others %s)",
			100*out.New.ErrorRatio, 100*out.Old.ErrorRatio, p, round(n), round(o))
	}
	return out
}

// sideOf t, with its latency at the quantile that both t and other can bear.
func sideOf(t, other skew.Total) Side {
	s := Side{Calls: t.Calls, Quantile: 0.99}
	for _, n := range []int64{t.Calls, other.Calls} {
		if n > 0 {
			s.Quantile = max(0.5, min(s.Quantile, 1-tailCalls/float64(n)))
		}
	}
	s.Latency = wire.Seconds(t.Latency.Quantile(s.Quantile))
	if t.Calls > 0 {
		s.ErrorRatio = float64(t.Errors) / float64(t.Calls)
		s.StaleRatio = float64(t.Stale) / float64(t.Calls)
	}
	return s
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
