package owners

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors of the store. Everything else is an unknown outcome: re-read.
var (
	ErrFenced      = errors.New("session is fenced")                      // renew, drain: the record is final or missing
	ErrUnknown     = errors.New("outcome unknown")                        // fewer replicas than asked for answered, or no answer
	ErrEpochHold   = errors.New("store is holding after it lost its data") // acquire while the epoch is not open
	ErrUnavailable = errors.New("store unavailable")
)

// Options say which store to open. The zero value of a field means its default.
type Options struct {
	URL      string        // redis://…, rediss://…, redis+sentinel://…
	Replicas int           // n of WAIT n; never derived from who is connected
	Failover time.Duration // longest failover; held against the leases
	MaxLease time.Duration // leases.max; 30s
	Logger   *slog.Logger
}

// Store runs the ownership protocol on one partition of a Redis.
type Store struct {
	rdb redis.UniversalClient
	opt Options
}

var errTODO = errors.New("not built yet")

// Open connects, loads the scripts and checks the meta record.
func Open(ctx context.Context, o Options) (*Store, error) { return nil, errTODO }

// Close ends the connections.
func (s *Store) Close() error { return errTODO }

// Redis gives the client, for packages that keep other records in the same store.
func (s *Store) Redis() redis.UniversalClient { return s.rdb }

// Prefix gives the partition tag with which every key begins, "{p0}:".
func (s *Store) Prefix() string { return "{p0}:" }

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
	Wanted  Wanted
	RunID   string // of the Redis master: when it changes, active objects are confirmed again
	EpochID string
}

// NewSID makes a session id.
func NewSID() string { return "" }

// Register makes a session live (ownership.md §2).
func (s *Store) Register(ctx context.Context, r Registration) (Renewal, error) { return Renewal{}, errTODO }

// Renew extends a session's lease; ErrFenced when the session is final or missing.
func (s *Store) Renew(ctx context.Context, sid string, h Health) (Renewal, error) { return Renewal{}, errTODO }

// Drain marks a session draining.
func (s *Store) Drain(ctx context.Context, sid string) error { return errTODO }

// CloseSession makes a session final, by the host itself, after it stopped admitting.
func (s *Store) CloseSession(ctx context.Context, sid string) error { return errTODO }

// Dead makes a session final whose nonce is still seen; it returns the record as it is now.
func (s *Store) Dead(ctx context.Context, sid, seen string) (Session, error) { return Session{}, errTODO }

// Want sets what an operator wants of a host.
func (s *Store) Want(ctx context.Context, sid string, w Wanted) error { return errTODO }

// Session reads one session; ok is false when there is none.
func (s *Store) Session(ctx context.Context, sid string) (sess Session, ok bool, err error) {
	return Session{}, false, errTODO
}

// Sessions reads all sessions in the index, final ones included until they are collected.
func (s *Store) Sessions(ctx context.Context) ([]Session, error) { return nil, errTODO }

// Acquire asks for a pin for session SID. Expect is the pin as last read.
type Acquire struct {
	Key    Key
	Expect Pin   // state, token and sid as read; zero for None
	SID    string
	Floor  int64 // highest token the caller ever saw for this object
}

// Acquire runs the acquire script. won is false when another record stands;
// pin is the current record in either case.
func (s *Store) Acquire(ctx context.Context, a Acquire) (pin Pin, won bool, err error) {
	return Pin{}, false, errTODO
}

// Release runs the release script; ok when the pin was OWNED and equal (or already released with this token).
func (s *Store) Release(ctx context.Context, k Key, sid string, token int64) (pin Pin, ok bool, err error) {
	return Pin{}, false, errTODO
}

// Confirm says whether (sid, token) owns k now, durably.
func (s *Store) Confirm(ctx context.Context, k Key, sid string, token int64) (bool, error) {
	return false, errTODO
}

// Pin reads a pin and the session it names in one round trip. found is false
// when the session record is missing.
func (s *Store) Pin(ctx context.Context, k Key) (pin Pin, sess Session, found bool, err error) {
	return Pin{}, Session{}, false, errTODO
}

// Pins walks all pin records (SCAN; an object may appear twice while it changes).
func (s *Store) Pins(ctx context.Context) iter.Seq2[Pin, error] { return nil }

// Init opens the epoch of a fresh store; refused when sessions exist.
func (s *Store) Init(ctx context.Context) error { return errTODO }

// Check is one line of a probe.
type Check struct {
	Name   string // "eviction", "persistence", "role", "scripts", "replicas", "clock", …
	OK     bool
	Fatal  bool // serve refuses to start
	Detail string
	Fix    string
}

// Probe looks whether the store is safe to use (ownership.md, store probe).
func (s *Store) Probe(ctx context.Context) ([]Check, error) { return nil, errTODO }

// Embedded is the in-process store; it speaks the Redis protocol on Addr.
type Embedded struct{}

// StartEmbedded listens on addr ("127.0.0.1:0" for any free port). There is no
// durability. fresh says that no host can have outlived an earlier one, so the epoch is opened at once.
func StartEmbedded(addr string, fresh bool) (*Embedded, error) { return nil, errTODO }

// URL is what a host passes as its store, "redis://127.0.0.1:PORT".
func (e *Embedded) URL() string { return "" }

// Close stops it.
func (e *Embedded) Close() error { return errTODO }

// Watcher declares sessions dead by its own clock (ownership.md §6) and opens a held epoch.
type Watcher struct{}

// NewWatcher makes a watcher; Run polls until ctx ends.
func NewWatcher(s *Store, id string, log *slog.Logger) *Watcher { return nil }

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) error { return errTODO }

// Suspect asks the watcher to look after a session that a pin names but whose record is missing.
func (w *Watcher) Suspect(sid string) {}
