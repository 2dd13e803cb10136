package owners

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// SessionState is the state of a host's session. Closed and dead are final.
type SessionState string

// Session states (see the package's model).
const (
	Live     SessionState = "live"
	Draining SessionState = "draining"
	Closed   SessionState = "closed"
	Dead     SessionState = "dead"
)

// Final says that a session in this state will never run an event again.
func (s SessionState) Final() bool { return s == Closed || s == Dead }

// Wanted is what an operator asks of a host; every renewal returns it.
type Wanted string

// What an operator may want of a host.
const (
	WantedNone   Wanted = ""
	WantedCordon Wanted = "cordon"
	WantedDrain  Wanted = "drain"
)

// Session is a host's registration. ID is 128 random bits in hex, new for
// each registration; Name is stable over restarts.
type Session struct {
	ID      string
	Nonce   string        // unique for each execution of renew
	Lease   time.Duration // lh of this session, immutable
	Addr    string        // host:port where its gate listens
	Name    string
	App     string
	Version string
	Preview string // name of the preview this host belongs to, "" for none
	Classes []string
	State   SessionState
	Ready   bool
	Wanted  Wanted

	// As the host said at its last renewal; advice, never safety.
	Objects  int // active objects
	InFlight int // running events
}

const (
	finalTTL    = 7 * 24 * time.Hour // closed and dead sessions are collected after
	releasedTTL = 24 * time.Hour     // released pins are collected after; no shorter than the longest a late call can take
)

// Registration is what a host says when it registers.
type Registration struct {
	SID, Addr, Name, App, Version, Preview string
	Classes                                []string
	Lease                                  time.Duration
	Ready                                  bool
}

// Health is what a host says with each renewal.
type Health struct {
	Ready    bool
	Objects  int
	InFlight int
}

// Renewal is the answer to register and renew.
type Renewal struct {
	State   SessionState
	Wanted  Wanted
	RunID   string // of the Redis master: when it changes, active objects are confirmed again
	EpochID string // empty while nobody has begun an epoch; that is not an epoch that was seen
}

// NewSID makes a session id.
func NewSID() string { return random128() }

func random128() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// ValidSID says whether s has the form of a session id.
func ValidSID(s string) error {
	bad := len(s) != 32
	for i := 0; i < len(s) && !bad; i++ {
		bad = (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f')
	}
	if bad {
		return fmt.Errorf("%w: %.40q", ErrBadSession, s)
	}
	return nil
}

func (r Registration) valid() error {
	if err := ValidSID(r.SID); err != nil {
		return err
	}
	if r.Addr == "" || r.Name == "" || r.App == "" || r.Version == "" {
		return errors.New("addr, name, app and version are needed")
	}
	if len(r.Classes) == 0 {
		return errors.New("no class")
	}
	for _, c := range r.Classes {
		if err := validClass(c); err != nil {
			return err
		}
	}
	if r.Lease < MinLease {
		return fmt.Errorf("%w: %v is shorter than %v", ErrLease, r.Lease, MinLease)
	}
	return nil
}

// Register makes a session live. It may be sent again until it is answered.
// ErrFenced: the session is final already. ErrLease: longer than leases.max.
func (s *Store) Register(ctx context.Context, r Registration) (Renewal, error) {
	if err := r.valid(); err != nil {
		return Renewal{}, fmt.Errorf("register session: %w", err)
	}
	keys := []string{sessionKey(r.SID), keySessions, keyEpoch}
	rep, err := s.runDurable(ctx, s.scripts.register, keys,
		r.SID, random128(), r.Lease.Milliseconds(), s.MaxLease().Milliseconds(), flag(r.Ready),
		r.Addr, r.Name, r.App, r.Version, r.Preview, strings.Join(r.Classes, " "))
	if err != nil {
		return Renewal{}, fmt.Errorf("register session: %w", err)
	}
	return s.renewal("register session", r.SID, rep)
}

// Renew extends a session's lease; ErrFenced when the session is final or
// missing. The lease counts from before the call was sent. Any other error
// extends nothing, and may be tried again.
func (s *Store) Renew(ctx context.Context, sid string, h Health) (Renewal, error) {
	if err := ValidSID(sid); err != nil {
		return Renewal{}, fmt.Errorf("renew session: %w", err)
	}
	rep, err := s.runDurable(ctx, s.scripts.renew, []string{sessionKey(sid), keyEpoch},
		random128(), flag(h.Ready), max(h.Objects, 0), max(h.InFlight, 0))
	if err != nil {
		return Renewal{}, fmt.Errorf("renew session: %w", err)
	}
	return s.renewal("renew session", sid, rep)
}

func (s *Store) renewal(op, sid string, r reply) (Renewal, error) {
	switch r.status {
	case "ok", "format":
	case "lease":
		return Renewal{}, fmt.Errorf("%s: %w: longer than leases.max, %v", op, ErrLease, s.MaxLease())
	default:
		return Renewal{}, fmt.Errorf("%s: %w", op, ErrFenced)
	}
	sess, _, err := decodeSession(sid, r.fields[1:])
	if err != nil {
		return Renewal{}, fmt.Errorf("%s: %w", op, err)
	}
	if err := s.acked(r); err != nil {
		return Renewal{}, fmt.Errorf("%s: %w", op, err)
	}
	return Renewal{State: sess.State, Wanted: sess.Wanted, RunID: r.runID, EpochID: r.text(0)}, nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Drain marks a session draining: it takes no new pins. ErrFenced when it is final or missing.
func (s *Store) Drain(ctx context.Context, sid string) error {
	r, err := s.onSession(ctx, "drain session", s.scripts.drain, sid)
	if err == nil && r.status == "fenced" {
		err = fmt.Errorf("drain session: %w", ErrFenced)
	}
	return err
}

// CloseSession makes a session final, by the host itself, after it stopped
// admitting. A session that is final or missing is no error.
func (s *Store) CloseSession(ctx context.Context, sid string) error {
	_, err := s.onSession(ctx, "close session", s.scripts.close, sid, finalTTL.Milliseconds(), sid)
	return err
}

// Dead makes a session final whose nonce is still seen; it returns the record
// as it is now. seen is "" for a record that is missing. Only who watched the
// nonce, or its absence, for a whole lease may call it.
func (s *Store) Dead(ctx context.Context, sid, seen string) (Session, error) {
	return s.deadOn(ctx, sid, seen, "")
}

// deadOn is Dead on the server with this run id only ("" for any).
func (s *Store) deadOn(ctx context.Context, sid, seen, runID string) (Session, error) {
	r, err := s.onSession(ctx, "declare dead", s.scripts.dead, sid, seen, finalTTL.Milliseconds(), runID, sid)
	if err != nil {
		return Session{}, err
	}
	sess, _, err := decodeSession(sid, r.fields)
	if err != nil {
		return Session{}, fmt.Errorf("declare dead: %w", err)
	}
	return sess, nil
}

// Want sets what an operator wants of a host. ErrNoSession when there is no
// such session, ErrFenced when it is final.
func (s *Store) Want(ctx context.Context, sid string, w Wanted) error {
	switch w {
	case WantedNone, WantedCordon, WantedDrain:
	default:
		return fmt.Errorf("ask of session: %q is not cordon, drain or nothing", w)
	}
	r, err := s.onSession(ctx, "ask of session", s.scripts.want, sid, string(w))
	switch {
	case err != nil:
		return err
	case r.status == "missing":
		return fmt.Errorf("ask of session %s: %w", sid, ErrNoSession)
	case r.status == "final":
		return fmt.Errorf("ask of session %s: %w", sid, ErrFenced)
	}
	return nil
}

// onSession runs a script on a session; those that end it use the index as well.
func (s *Store) onSession(ctx context.Context, op string, sc Script, sid string, args ...any) (reply, error) {
	if err := ValidSID(sid); err != nil {
		return reply{}, fmt.Errorf("%s: %w", op, err)
	}
	r, err := s.run(ctx, sc, []string{sessionKey(sid), keySessions, keyEnded}, args...)
	if err != nil {
		return reply{}, fmt.Errorf("%s: %w", op, err)
	}
	if r.status == "format" {
		_, _, err := decodeSession(sid, r.fields)
		return reply{}, fmt.Errorf("%s: %w", op, err)
	}
	return r, nil
}

// Session reads one session; ok is false when there is none.
func (s *Store) Session(ctx context.Context, sid string) (sess Session, ok bool, err error) {
	if err := ValidSID(sid); err != nil {
		return Session{}, false, fmt.Errorf("read session: %w", err)
	}
	m, err := s.rdb.HGetAll(ctx, sessionKey(sid)).Result()
	if err != nil {
		return Session{}, false, fail("read session", false, err)
	}
	if len(m) == 0 {
		return Session{}, false, nil
	}
	sess, err = sessionOf(sid, m)
	return sess, err == nil, err
}

// Sessions reads all sessions, final ones included until they are collected:
// two round trips. One that cannot be read is left out and named in the error,
// which is joined; the others are returned beside it.
func (s *Store) Sessions(ctx context.Context) ([]Session, error) {
	var index, ended *redis.StringSliceCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // in this order: one that ends meanwhile is in both
		index, ended = p.SMembers(ctx, keySessions), p.ZRange(ctx, keyEnded, 0, -1)
		return nil
	})
	if err != nil {
		return nil, fail("read sessions", false, err)
	}
	ids := slices.Concat(index.Val(), ended.Val())
	slices.Sort(ids)
	found, _, err := s.readSessions(ctx, slices.Compact(ids), nil)
	return found, err
}

// LiveSessions reads the sessions that have not ended, so that its cost does
// not grow with those that have. Otherwise it is as Sessions.
func (s *Store) LiveSessions(ctx context.Context) ([]Session, error) {
	ids, err := s.rdb.SMembers(ctx, keySessions).Result()
	if err != nil {
		return nil, fail("read sessions", false, err)
	}
	found, _, err := s.readSessions(ctx, ids, nil)
	return slices.DeleteFunc(found, func(x Session) bool { return x.State.Final() }), err
}

// readSessions reads the records of ids, and what else is asked for, in one
// pipeline. missing are those that have none. found is nil when nothing could
// be read; otherwise the error names records that are unreadable.
func (s *Store) readSessions(
	ctx context.Context, ids []string, and func(redis.Pipeliner),
) (found []Session, missing []string, err error) {
	if len(ids) == 0 && and == nil {
		return nil, nil, nil
	}
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	_, perr := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HGetAll(ctx, sessionKey(id))
		}
		if and != nil {
			and(p)
		}
		return nil
	})
	var bad []error
	found = make([]Session, 0, len(ids))
	for i, id := range ids {
		m, err := cmds[i].Result()
		var isReply redis.Error
		switch {
		case errors.As(err, &isReply):
			bad = append(bad, fail("read session "+id, false, err))
			continue
		case err != nil:
			return nil, nil, fail("read sessions", false, perr)
		case len(m) == 0:
			missing = append(missing, id)
			continue
		}
		sess, err := sessionOf(id, m)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		found = append(found, sess)
	}
	if len(bad) == 0 && perr != nil { // of what else was asked for
		bad = append(bad, fail("read sessions", false, perr))
	}
	return found, missing, errors.Join(bad...)
}
