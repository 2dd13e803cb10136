// Package rollout moves an app's objects from version to version: step by
// step, watched, within a budget, and stoppable.
//
// # Model
//
// A [Record] per app holds what is deployed (versions with weights and salts,
// from which rollout/assign says which version an object should run) and the
// newest [Rollout]. Assignment is not motion: a change of weights moves
// nothing by itself. An idle object runs its assigned version when it is next
// called; one that is active stays where it is until it becomes idle (lazy) or
// until the mover has its host release it (drain, now). Each move takes from
// the class's [Budget].
//
//	          promote, bake passed                last step
//	start ─▶ progressing ───────▶ progressing … ───────────▶ completed
//	          │ ▲ resume             │
//	    pause ▼ │                    │ abort (auto-abort)
//	         paused ─────────────────┴──▶ aborted, or frozen past the point of no return
//	         (also: bake failed, no data, preflight of the next step)
//
// # Guarantees
//
//   - A record changes only by compare-and-set on its revision. Any number of
//     control replicas may run a [Controller]; one leads, another carries on
//     when it is gone, and two that both believe to lead cannot undo each other.
//   - No data is not success: a bake with too few requests, or an answer from
//     too few gateways, pauses the rollout. It never aborts one.
//   - Planned moves never exceed the budget, whoever makes them.
//   - Deploys that come faster than moves finish coalesce: the mover moves an
//     object to what is assigned when its turn comes, not through each in turn.
//   - Every change of a record, and every move, carries a reason.
//
// Safety does not depend on this package: whatever it does, an object is
// current on at most one host (package owners).
package rollout
