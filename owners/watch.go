package owners

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Watcher declares sessions dead by its own clock, ends the hold of a store
// that lost its data, and sees to it that tokens go on above those of before. Every gateway and control process runs one. It never
// trusts an expiry, the store's clock, or the absence of a key alone.
type Watcher struct {
	store *Store
	id    string
	log   *slog.Logger

	mu       sync.Mutex
	suspects map[string]bool // asked about from outside
	sessions []Session       // as last read; never changed once here
	readAt   time.Duration
	hasRead  bool

	// Of the goroutine in Run.
	runID  string
	seen   map[string]sighting // by sid: nonce ("" for a missing record)
	epoch  sighting            // of a held epoch, by its id
	turn   int
	poll   time.Duration
	failed bool
}

// A sighting is a value of the store and when the watcher's own clock first saw it.
type sighting struct {
	value string
	since time.Duration
}

// maxSuspects bounds how many missing sessions are looked after at a time.
const maxSuspects = 10000

// Bounds of the poll period, which is a fifteenth of the shortest lease seen. A
// renewal is seen up to a period late, and a death that much later; where
// there are few sessions to read it is therefore no longer than fewPoll.
const (
	minPoll     = 50 * time.Millisecond
	maxPoll     = time.Second
	fewPoll     = 500 * time.Millisecond
	fewSessions = 100
)

// NewWatcher makes a watcher; Run polls until ctx ends. id is unique among the watchers of the store.
func NewWatcher(s *Store, id string, log *slog.Logger) *Watcher {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Watcher{
		store: s, id: id, log: log, suspects: map[string]bool{}, seen: map[string]sighting{}, poll: maxPoll,
	}
}

// Run watches until ctx ends; then it returns nil. What the store cannot
// answer is tried again at the next poll.
func (w *Watcher) Run(ctx context.Context) error {
	for {
		err := w.step(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if failed := err != nil; failed != w.failed {
			w.failed = failed
			if failed {
				w.log.Warn("watch of sessions fails", "err", err)
			} else {
				w.log.Info("watch of sessions works again")
			}
		}
		t := time.NewTimer(w.pause())
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// pause is the time to the next poll: earlier than a period when a session
// that has not renewed becomes dead before that, for all who wait for its
// objects wait for this.
func (w *Watcher) pause() time.Duration {
	now, pause := w.store.opt.Clock(), w.poll
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sessions {
		first, ok := w.seen[s.ID]
		if due := first.since + WatchSpan(s.Lease) - now; ok && due > 0 && !s.State.Final() {
			pause = min(pause, due)
		}
	}
	return max(pause, minPoll)
}

// Suspect asks the watcher to look after a session that a pin names but whose
// record is missing. It is declared dead after leases.max.
func (w *Watcher) Suspect(sid string) {
	if ValidSID(sid) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.suspects) < maxSuspects {
		w.suspects[sid] = true
	}
}

// Snapshot gives the sessions as last read, and how long ago that was by this
// machine's clock: those that may run events, and for one poll those that were
// just found dead. The caller must not change them. Before the first read
// there are none and the age is the longest there is.
func (w *Watcher) Snapshot() ([]Session, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.hasRead {
		return nil, math.MaxInt64
	}
	return w.sessions, w.store.opt.Clock() - w.readAt
}

// step reads once and acts on what has been unchanged for long enough.
func (w *Watcher) step(ctx context.Context) error {
	v, err := w.read(ctx)
	if err != nil {
		return err
	}
	now := w.store.opt.Clock() // after the read: a timer that starts late ends late
	if v.runID != w.runID {    // another master, perhaps with older records: every timer again
		w.runID = v.runID
		clear(w.seen)
		w.epoch = sighting{}
	}
	raised, err := w.store.raiseTokens(ctx)
	if raised {
		w.log.Warn("the store's clock shows less than it did: tokens go on above those of before")
	}
	errs := []error{v.bad, err, w.watchEpoch(ctx, v.epoch, now)}
	for i, s := range v.sessions {
		if s.State.Final() { // its index entry is from a version that kept it there
			errs = append(errs, w.store.CloseSession(ctx, s.ID))
			continue
		}
		current, err := w.bury(ctx, s, now)
		errs = append(errs, err)
		v.sessions[i] = current
	}
	for _, sid := range v.missing {
		_, err := w.bury(ctx, Session{ID: sid, Lease: w.store.MaxLease()}, now)
		errs = append(errs, err)
	}
	w.publish(v, now)
	return errors.Join(errs...)
}

// bury declares a session dead whose nonce ("" when the record is missing)
// was seen for a whole lease; it returns the record as it is then.
func (w *Watcher) bury(ctx context.Context, s Session, now time.Duration) (Session, error) {
	first, ok := w.seen[s.ID]
	if !ok || first.value != s.Nonce {
		w.seen[s.ID] = sighting{s.Nonce, now}
		return s, nil
	}
	if now-first.since < WatchSpan(s.Lease) {
		return s, nil
	}
	current, err := w.store.deadOn(ctx, s.ID, s.Nonce, w.runID)
	if err != nil {
		return s, err
	}
	if current.State == Dead {
		w.log.Warn("session declared dead", "session", s.ID, "host", s.Name, "addr", s.Addr, "lease", s.Lease)
	}
	return current, nil
}

// watchEpoch begins an epoch where there is none and opens a held one after
// the longest lease that may have been granted before it.
func (w *Watcher) watchEpoch(ctx context.Context, e Epoch, now time.Duration) error {
	switch {
	case e.ID == "":
		held, err := w.store.BeginEpoch(ctx)
		if err != nil {
			return err
		}
		w.epoch = sighting{held.ID, w.store.opt.Clock()}
		w.log.Warn("the store has lost its data or is new: holding", "epoch", held.ID, "for", w.store.MaxLease())
	case e.Open:
		w.epoch = sighting{}
	case w.epoch.value != e.ID:
		w.epoch = sighting{e.ID, now}
	case now-w.epoch.since >= WatchSpan(w.store.MaxLease()):
		if _, err := w.store.OpenEpoch(ctx, e.ID); err != nil {
			return err
		}
		w.log.Warn("the store is open again", "epoch", e.ID)
	}
	return nil
}

// A view is what one poll read.
type view struct {
	epoch    Epoch
	runID    string
	index    []string  // sids of all that may be live
	sessions []Session // the records of this watcher's share
	partial  bool      // the share is not all
	missing  []string  // suspects without a record
	bad      error     // records that cannot be read
}

// read takes epoch, run id and records from one server: one pipeline. What
// would be read from another one after a failover must not meet these timers.
func (w *Watcher) read(ctx context.Context) (view, error) {
	s := w.store
	watchers, err := s.beat(ctx, w.id)
	if err != nil {
		return view{}, err
	}
	var v view
	if v.index, err = s.rdb.SMembers(ctx, keySessions).Result(); err != nil {
		return view{}, fail("read index of sessions", false, err)
	}
	ids := w.share(v.index, watchers)
	v.partial = len(ids) < len(v.index)
	suspects := w.suspected()
	var epoch, meta *redis.SliceCmd
	var server, replication *redis.StringCmd
	found, gone, err := s.readSessions(ctx, slices.Concat(ids, suspects), func(p redis.Pipeliner) {
		epoch, meta = p.HMGet(ctx, keyEpoch, "id", "s"), p.HMGet(ctx, keyMeta, "max")
		server, replication = p.Info(ctx, "server"), p.Info(ctx, "replication")
	})
	if err != nil && (found == nil || server.Err() != nil || replication.Err() != nil || epoch.Err() != nil) {
		return view{}, err
	}
	v.bad, v.epoch, v.runID = err, epochOf(epoch.Val()), runID(server.Val(), replication.Val())
	s.learnMaxLease(reply{fields: meta.Val()}.text(0))
	return w.sort(ctx, v, len(ids), found, gone)
}

// sort tells records of the index from those of suspects, and collects index entries whose record has expired.
func (w *Watcher) sort(ctx context.Context, v view, indexed int, found []Session, gone []string) (view, error) {
	known := make(map[string]bool, len(v.index))
	for _, sid := range v.index {
		known[sid] = true
	}
	w.mu.Lock()
	for _, s := range found {
		delete(w.suspects, s.ID)
	}
	suspects := maps.Clone(w.suspects)
	w.mu.Unlock()
	v.sessions = make([]Session, 0, indexed)
	for _, s := range found {
		if known[s.ID] {
			known[s.ID] = false // a suspect that is indexed was read twice
			v.sessions = append(v.sessions, s)
		}
	}
	for _, sid := range gone {
		if suspects[sid] {
			delete(suspects, sid)
			v.missing = append(v.missing, sid)
		} else if _, err := w.store.run(ctx, w.store.scripts.collect,
			[]string{sessionKey(sid), keySessions}, sid); err != nil {
			return view{}, err
		}
	}
	return v, nil
}

func (w *Watcher) suspected() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.suspects))
}

// publish makes what was read the snapshot. A partial read keeps of the last
// one what it did not read again.
func (w *Watcher) publish(v view, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := v.sessions
	if v.partial {
		fresh, indexed := map[string]bool{}, map[string]bool{}
		for _, s := range v.sessions {
			fresh[s.ID] = true
		}
		for _, sid := range v.index {
			indexed[sid] = true
		}
		for _, s := range w.sessions {
			if !fresh[s.ID] && indexed[s.ID] {
				next = append(next, s)
			}
		}
	}
	w.sessions, w.readAt, w.hasRead = next, now, true
	w.poll = maxPoll
	if n := len(v.index); 0 < n && n <= fewSessions {
		w.poll = fewPoll
	}
	known := make(map[string]bool, len(next)+len(v.missing))
	for _, s := range next {
		known[s.ID] = !s.State.Final()
		if !s.State.Final() {
			w.poll = min(w.poll, s.Lease/15)
		}
	}
	w.poll = max(w.poll, minPoll)
	for _, sid := range v.missing {
		known[sid] = true
	}
	for sid := range w.seen {
		if !known[sid] {
			delete(w.seen, sid)
		}
	}
}
