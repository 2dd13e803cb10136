package storage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
)

// Errors of a Storage.
var (
	// ErrStale says that this activation may not use the storage any more.
	ErrStale = errors.New("stale instance")
	// ErrUnknown says that a claim or write may or may not have happened.
	ErrUnknown = errors.New("storage outcome unknown")
	// ErrUnavailable says that the storage could not be reached; nothing was done.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrLimit says that a key, a value or a transaction is too large; see LimitError.
	ErrLimit = errors.New("storage limit")
	// ErrConflict says that a transaction lost against concurrent writes of the same activation again and again.
	ErrConflict = errors.New("transaction conflict")
	// ErrNested says that a transaction was begun inside of another one's function.
	ErrNested = errors.New("a transaction inside of a transaction of the same object: use the tx that the function was given")
	// ErrTxnDone says that a Txn was used after its function had returned.
	ErrTxnDone = errors.New("the transaction is over: its function has returned")
	// ErrNone says that the host was told to have no storage.
	ErrNone = errors.New("this host has no storage (storage: none)")
)

// StaleError is an ErrStale that knows who is current.
type StaleError struct {
	Current int64 // token of the fence that stands, 0 if not known
}

// Error names the current token.
func (e *StaleError) Error() string {
	if e.Current == 0 {
		return ErrStale.Error()
	}
	return fmt.Sprintf("%v: storage is at token %d", ErrStale, e.Current)
}

// Unwrap makes errors.Is(err, ErrStale) true.
func (e *StaleError) Unwrap() error { return ErrStale }

// Entry is one key and its value.
type Entry struct {
	Key   string
	Value []byte
}

// Op is one write.
type Op struct {
	Key    string
	Value  []byte
	Delete bool
}

// Batch is writes that happen together or not at all.
type Batch struct {
	Ops []Op
	// IfRevision, unless negative, is the revision that the object must still have.
	IfRevision int64
}

// Values is what a read gives. A missing key has a nil value.
type Values struct {
	Values   [][]byte
	Revision int64 // rises with each accepted batch
}

// Snapshot is what a claim found. Complete says that Entries is everything the object has.
type Snapshot struct {
	Complete bool
	Entries  []Entry
	Revision int64
}

// Driver keeps objects in one kind of server. Every method but Close checks
// the fence in the same atomic step as it acts, and fails with a StaleError if
// another stands. Claim and Write are sent once and fail with ErrUnknown when
// it is not known whether they happened, with ErrUnavailable when they surely
// did not.
type Driver interface {
	Claim(ctx context.Context, object string, f Fence) (Snapshot, error)
	Read(ctx context.Context, object string, f Fence, keys []string) (Values, error)
	List(ctx context.Context, object string, f Fence, o ListOptions) ([]Entry, int64, error)
	Write(ctx context.Context, object string, f Fence, b Batch) error
	Close() error
}

// errRevision is a Driver's answer to a Batch whose IfRevision has passed.
var errRevision = errors.New("revision has changed")

// Storage is what one activation of one object sees. It is safe for concurrent use.
type Storage struct {
	driver Driver
	object string
	fence  Fence
	limits Limits

	mu       sync.Mutex
	ended    error             // why it is over
	onEnd    func(error)       // told once, outside of mu
	writing  int               // writes under way
	txns     int               // functions of transactions that run
	quiet    chan struct{}     // closed when writing becomes 0; nil when nobody waits
	loaded   map[string][]byte // what the claim found, while it answers reads
	revision int64             // of loaded
}

// Open claims object for f. onEnd is told once when a later access finds the
// claim lost (ErrStale) or an outcome unknown (ErrUnknown); it may be nil.
func Open(ctx context.Context, d Driver, object string, f Fence, l Limits, onEnd func(error)) (*Storage, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("claim %s: %w", object, err)
	}
	snap, err := d.Claim(context.WithoutCancel(ctx), object, f) // see write
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", object, err)
	}
	s := &Storage{driver: d, object: object, fence: f, limits: l.withDefaults(), onEnd: onEnd}
	if snap.Complete {
		s.revision = snap.Revision
		s.loaded = make(map[string][]byte, len(snap.Entries))
		for _, e := range snap.Entries {
			s.loaded[e.Key] = e.Value
		}
	}
	return s, nil
}

// Closed is a Storage that is over from the start, with err as the reason.
func Closed(err error) *Storage { return &Storage{ended: err} }

// Fence gives the claimed fence.
func (s *Storage) Fence() Fence { return s.fence }

// Loaded ends the time in which reads are answered from what the claim found,
// without a round trip. A write ends it, too.
func (s *Storage) Loaded() {
	s.mu.Lock()
	s.loaded = nil
	s.mu.Unlock()
}

// Get reads the value of key; nil means that there is none.
func (s *Storage) Get(ctx context.Context, key string) ([]byte, error) {
	v, _, err := s.read(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("get %q: %w", key, err)
	}
	return v, nil
}

func (s *Storage) read(ctx context.Context, key string) ([]byte, int64, error) {
	if err := s.checkKey(key); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	if s.ended != nil {
		defer s.mu.Unlock()
		return nil, 0, s.ended
	}
	if s.loaded != nil {
		defer s.mu.Unlock()
		return bytes.Clone(s.loaded[key]), s.revision, nil
	}
	s.mu.Unlock()
	vs, err := s.driver.Read(ctx, s.object, s.fence, []string{key})
	if err != nil {
		return nil, 0, s.failed(err)
	}
	return vs.Values[0], vs.Revision, nil
}

// Put sets the value of key.
func (s *Storage) Put(ctx context.Context, key string, value []byte) error {
	if err := s.write(ctx, Batch{Ops: []Op{{Key: key, Value: value}}, IfRevision: -1}); err != nil {
		return fmt.Errorf("put %q: %w", key, err)
	}
	return nil
}

// Delete removes key; a missing key is no error.
func (s *Storage) Delete(ctx context.Context, key string) error {
	if err := s.write(ctx, Batch{Ops: []Op{{Key: key, Delete: true}}, IfRevision: -1}); err != nil {
		return fmt.Errorf("delete %q: %w", key, err)
	}
	return nil
}

// List reads entries in key order.
func (s *Storage) List(ctx context.Context, o ListOptions) ([]Entry, error) {
	o, err := o.withLimit()
	var entries []Entry
	if err == nil {
		entries, _, err = s.list(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", o.Prefix, err)
	}
	return entries, nil
}

func (s *Storage) list(ctx context.Context, o ListOptions) ([]Entry, int64, error) {
	s.mu.Lock()
	if err := s.ended; err != nil {
		s.mu.Unlock()
		return nil, 0, err
	}
	if s.loaded != nil {
		defer s.mu.Unlock()
		return o.apply(s.loaded), s.revision, nil
	}
	s.mu.Unlock()
	entries, rev, err := s.driver.List(ctx, s.object, s.fence, o)
	if err != nil {
		return nil, 0, s.failed(err)
	}
	return entries, rev, nil
}

// write checks the limits and sends one batch.
func (s *Storage) write(ctx context.Context, b Batch) error {
	if len(b.Ops) > s.limits.Ops && s.limits.Ops > 0 {
		return &LimitError{"transaction", len(b.Ops), s.limits.Ops}
	}
	for _, op := range b.Ops {
		if err := s.checkKey(op.Key); err != nil {
			return err
		}
		if !op.Delete && s.limits.Value > 0 && len(op.Value) > s.limits.Value {
			return &LimitError{"value", len(op.Value), s.limits.Value}
		}
	}
	s.mu.Lock()
	if err := cmp.Or(s.ended, ctx.Err()); err != nil { // a stale instance learns that, not that its context ended
		s.mu.Unlock()
		return err
	}
	s.writing++
	s.loaded = nil
	s.mu.Unlock()
	// A caller who goes away does not abort it: the answer would be lost, and with it the activation.
	err := s.driver.Write(context.WithoutCancel(ctx), s.object, s.fence, b)
	if err != nil && !errors.Is(err, errRevision) {
		err = s.failed(err) // before the write counts as over, so that Flush cannot miss it
	}
	s.mu.Lock()
	s.writing--
	if s.writing == 0 && s.quiet != nil {
		close(s.quiet)
		s.quiet = nil
	}
	s.mu.Unlock()
	return err
}

// failed ends the storage when err says that this activation is over.
func (s *Storage) failed(err error) error {
	if errors.Is(err, ErrStale) || errors.Is(err, ErrUnknown) {
		s.end(err)
	}
	return err
}

// Close makes every later access fail with ErrStale.
func (s *Storage) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = ErrStale
	}
	s.loaded = nil
}

// end makes every later access fail and tells the owner. Accesses after an
// unknown outcome are stale: what is in memory may not be what is stored.
func (s *Storage) end(why error) {
	s.mu.Lock()
	if s.ended != nil {
		s.mu.Unlock()
		return
	}
	s.ended = why
	if !errors.Is(why, ErrStale) {
		s.ended = fmt.Errorf("%w: %w", ErrStale, why)
	}
	s.loaded = nil
	told := s.onEnd
	s.mu.Unlock()
	if told != nil {
		told(why)
	}
}

// Flush waits until no write is under way and says why the storage is over, or
// nil. That a host was told to have none ends nothing.
func (s *Storage) Flush(ctx context.Context) error {
	s.mu.Lock()
	for s.writing > 0 {
		if s.quiet == nil {
			s.quiet = make(chan struct{})
		}
		quiet := s.quiet
		s.mu.Unlock()
		select {
		case <-quiet:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if errors.Is(s.ended, ErrNone) {
		return nil
	}
	return s.ended
}

func (s *Storage) checkKey(key string) error {
	switch {
	case key == "":
		return &LimitError{"key", 0, s.limits.Key}
	case s.limits.Key > 0 && len(key) > s.limits.Key:
		return &LimitError{"key", len(key), s.limits.Key}
	}
	return nil
}
