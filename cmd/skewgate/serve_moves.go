package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
)

// moveRecorder writes the history of objects beside the request path. Writing
// it is best effort: when the store is slow, entries are dropped.
type moveRecorder struct {
	log     *rollout.MoveLog
	watcher *owners.Watcher
	store   *owners.Store
	slog    *slog.Logger
	queue   chan *gateway.Event
	names   map[string]string // of sessions that ended, by id; of run's goroutine
}

const (
	queuedMoves   = 4096
	moveBatch     = 128
	moveWriteTime = 2 * time.Second
	maxEndedNames = 1024
)

func newMoveRecorder(l *rollout.MoveLog, w *owners.Watcher, s *owners.Store, log *slog.Logger) *moveRecorder {
	return &moveRecorder{log: l, watcher: w, store: s, slog: log, queue: make(chan *gateway.Event, queuedMoves), names: map[string]string{}}
}

// add notes a change of owner unless it is the ordinary return of an idle object.
func (m *moveRecorder) add(e *gateway.Event) {
	if m.reason(e.Move) == "" {
		return
	}
	select {
	case m.queue <- e:
	default:
	}
}

// moveReasons: what a gateway calls a change of owner, and what history calls it.
var moveReasons = map[string]string{
	"host-gone":       rollout.ReasonHostDead,
	"rollout":         rollout.ReasonRollout,
	"upgrade-on-call": rollout.ReasonUpgradeOnCall,
}

// reason is what history calls a change of owner; "" for what it does not keep.
// A host that drains gives its objects back as an idle one is given back; that it is leaving says why.
func (m *moveRecorder) reason(v *gateway.Move) string {
	if v.Reason == "idle" && m.leaving(v.From) {
		return rollout.ReasonDrain
	}
	return moveReasons[v.Reason]
}

// leaving says that a session takes no events any more, or will soon.
func (m *moveRecorder) leaving(sid string) bool {
	sessions, age := m.watcher.Snapshot()
	for i := range sessions {
		if sessions[i].ID == sid {
			return sessions[i].State != owners.Live
		}
	}
	return age < knownAge // who is not among them has ended
}

// knownAge is how old the watcher's word may be that a session has ended.
const knownAge = 5 * time.Second

func (m *moveRecorder) run(ctx context.Context) error {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-m.queue:
			err := m.write(ctx, m.batch(e))
			if err != nil && !failing {
				m.slog.Warn("history of objects cannot be written", "err", err)
			}
			failing = err != nil
		}
	}
}

// batch takes what waits behind e: a dead host's objects move by the thousands.
func (m *moveRecorder) batch(e *gateway.Event) []*gateway.Event {
	all := []*gateway.Event{e}
	for len(all) < moveBatch {
		select {
		case e := <-m.queue:
			all = append(all, e)
		default:
			return all
		}
	}
	return all
}

func (m *moveRecorder) write(ctx context.Context, events []*gateway.Event) error {
	ctx, cancel := context.WithTimeout(ctx, moveWriteTime)
	defer cancel()
	moves := make([]rollout.MoveOf, len(events))
	for i, e := range events {
		moves[i] = rollout.MoveOf{Key: e.Object, Moved: rollout.Moved{
			At: e.Start, Reason: m.reason(e.Move), FromVersion: e.Move.FromVer, ToVersion: e.Move.ToVer,
			FromHost: m.hostName(ctx, e.Move.From), ToHost: e.Move.ToHost, Token: e.Move.Token,
		}}
	}
	return m.log.AddAll(ctx, moves)
}

// hostName gives a session's stable name, or the session's id when it is forgotten.
func (m *moveRecorder) hostName(ctx context.Context, sid string) string {
	if name, ok := m.names[sid]; ok {
		return name
	}
	sessions, _ := m.watcher.Snapshot()
	for _, s := range sessions {
		if s.ID == sid {
			return s.Name
		}
	}
	if s, ok, err := m.store.Session(ctx, sid); err == nil && ok { // it ended a while ago
		if len(m.names) >= maxEndedNames {
			clear(m.names)
		}
		m.names[sid] = s.Name
		return s.Name
	}
	return sid
}
