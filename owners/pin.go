package owners

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/redis/go-redis/v9"
)

// PinState is the state of a pin record. An absent record is None.
type PinState string

// Pin states (see the package's model).
const (
	None     PinState = ""
	Owned    PinState = "owned"
	Released PinState = "released"
)

// Pin is the record "object → session, token".
type Pin struct {
	Key       Key
	State     PinState
	SID       string // session that owns it, or owned it last
	Token     int64  // microseconds-like fencing token, only ever grows
	Version   string // app version of the session that owns it, or owned it last
	Confirmed int64  // highest confirmed token
}

// Acquire asks for a pin for session SID. Expect is the pin as last read.
type Acquire struct {
	Key    Key
	Expect Pin    // state, token and sid as read; zero for None
	SID    string // must be live, ready and not cordoned
	Floor  int64  // highest token the caller ever saw for this object
}

// Acquire runs the acquire script. won is false when another record stands, or
// when session SID takes no pins (any more); pin is the current record in
// either case. After a lost reply the retry finds the pin OWNED by SID.
//
//	epoch not open                                                  ErrEpochHold
//	pin absent, Expect is None, SID takes pins                      won
//	pin as expected and RELEASED, SID takes pins                    won
//	pin as expected and OWNED by a final session, SID takes pins    won
//	anything else                                                   not won
func (s *Store) Acquire(ctx context.Context, a Acquire) (pin Pin, won bool, err error) {
	if err := a.valid(); err != nil {
		return Pin{}, false, fmt.Errorf("acquire %s: %w", a.Key, err)
	}
	keys, args := a.asked()
	r, err := s.run(ctx, s.scripts.acquire, keys, args...)
	if err != nil {
		return Pin{}, false, fmt.Errorf("acquire %s: %w", a.Key, err)
	}
	if pin, won, err = a.answered(r); err != nil {
		return Pin{}, false, fmt.Errorf("acquire %s: %w", a.Key, err)
	}
	if r.status == "hold" {
		return pin, false, fmt.Errorf("acquire %s: %w", a.Key, ErrEpochHold)
	}
	if won && pin.Token > max(a.Expect.Token, a.Floor)+1 {
		s.tokens.saw(pin.Token, s.opt.Clock()) // minted by the token clock: a reading of it
	}
	return pin, won, nil
}

// asked is what the script is run with, and answered what it said.
func (a Acquire) asked() (keys []string, args []any) {
	keys, args = []string{keyEpoch, sessionKey(a.SID), pinKey(a.Key)}, []any{a.SID, FormatToken(a.Floor)}
	if a.Expect.State == None {
		return keys, append(args, "0")
	}
	return append(keys, sessionKey(a.Expect.SID)), append(args, FormatToken(a.Expect.Token), a.Expect.SID)
}

func (a Acquire) answered(r reply) (pin Pin, won bool, err error) {
	if r.status == "won" { // the rest of the record is what was asked for
		pin, err = decodePin(a.Key, append([]any{format, "o", a.SID}, r.fields...))
		return pin, err == nil, err
	}
	pin, err = r.pin(a.Key)
	return pin, false, err
}

func (a Acquire) valid() error {
	if err := a.Key.Validate(); err != nil {
		return err
	}
	if err := ValidSID(a.SID); err != nil {
		return err
	}
	if a.Floor < 0 {
		return fmt.Errorf("%w: floor %d", ErrBadToken, a.Floor)
	}
	if a.Expect.State == None {
		return nil
	}
	if err := ValidSID(a.Expect.SID); err != nil {
		return err
	}
	return validToken(a.Expect.Token)
}

// Release runs the release script; ok when the pin was OWNED and equal (or
// already released with this token). Run it until it is answered.
func (s *Store) Release(ctx context.Context, k Key, sid string, token int64) (pin Pin, ok bool, err error) {
	if err := validClaim(k, sid, token); err != nil {
		return Pin{}, false, fmt.Errorf("release %s: %w", k, err)
	}
	r, err := s.run(ctx, s.scripts.release, []string{pinKey(k)}, sid, FormatToken(token), releasedTTL.Milliseconds())
	if err != nil {
		return Pin{}, false, fmt.Errorf("release %s: %w", k, err)
	}
	if pin, err = r.pin(k); err != nil {
		return Pin{}, false, fmt.Errorf("release %s: %w", k, err)
	}
	return pin, r.status == "ok", nil
}

// Confirm says whether (sid, token) owns k now, and that Replicas replicas
// know it. An error is neither yes nor no.
func (s *Store) Confirm(ctx context.Context, k Key, sid string, token int64) (bool, error) {
	if err := validClaim(k, sid, token); err != nil {
		return false, fmt.Errorf("confirm %s: %w", k, err)
	}
	v, acked, err := s.confirms.Run(ctx, s.scripts.confirm, []string{pinKey(k)}, sid, FormatToken(token))
	if err != nil {
		return false, fmt.Errorf("confirm %s: %w", k, fail("run confirm", true, err))
	}
	r, err := decodeReply(v)
	if err != nil {
		return false, fmt.Errorf("confirm %s: %w", k, err)
	}
	r.acked = acked
	if _, err := r.pin(k); err != nil {
		return false, fmt.Errorf("confirm %s: %w", k, err)
	}
	if r.status != "ok" {
		return false, nil
	}
	if err := s.acked(r); err != nil {
		return false, fmt.Errorf("confirm %s: %w", k, err)
	}
	return true, nil
}

func validClaim(k Key, sid string, token int64) error {
	if err := k.Validate(); err != nil {
		return err
	}
	if err := ValidSID(sid); err != nil {
		return err
	}
	return validToken(token)
}

// Pin reads a pin and the session it names in one round trip. found is false
// when the session record is missing (or the pin is None).
func (s *Store) Pin(ctx context.Context, k Key) (pin Pin, sess Session, found bool, err error) {
	if err := k.Validate(); err != nil {
		return Pin{}, Session{}, false, fmt.Errorf("read pin %s: %w", k, err)
	}
	r, err := s.run(ctx, s.scripts.pin, []string{pinKey(k)}, sessPrefix)
	if err != nil {
		return Pin{}, Session{}, false, fmt.Errorf("read pin %s: %w", k, err)
	}
	if pin, err = r.pin(k); err != nil {
		return Pin{}, Session{}, false, fmt.Errorf("read pin %s: %w", k, err)
	}
	if sess, found, err = decodeSession(pin.SID, r.fields[pinFields:]); err != nil {
		return Pin{}, Session{}, false, fmt.Errorf("read pin %s: %w", k, err)
	}
	return pin, sess, found, nil
}

// scanPage is how many keys one step of Pins asks for.
const scanPage = 500

// Pins walks all pin records (SCAN; an object may appear twice while it
// changes, and one that is made or collected meanwhile may be missed). A
// record that cannot be read is yielded with its key and the error, and the
// walk goes on; an error without a key ends it.
func (s *Store) Pins(ctx context.Context) iter.Seq2[Pin, error] {
	return func(yield func(Pin, error) bool) {
		var cursor uint64
		for {
			keys, next, err := s.rdb.Scan(ctx, cursor, pinPrefix+"*", scanPage).Result()
			if err != nil {
				yield(Pin{}, fail("scan pins", false, err))
				return
			}
			if !s.readPins(ctx, keys, yield) || next == 0 {
				return
			}
			cursor = next
		}
	}
}

func (s *Store) readPins(ctx context.Context, names []string, yield func(Pin, error) bool) bool {
	if len(names) == 0 {
		return true
	}
	cmds := make([]*redis.SliceCmd, len(names))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, n := range names {
			cmds[i] = p.HMGet(ctx, n, "f", "s", "i", "t", "v", "c")
		}
		return nil
	})
	for i, n := range names {
		k, kerr := ParseKey(strings.TrimPrefix(n, pinPrefix))
		if kerr != nil {
			kerr = fmt.Errorf("pin %q: %w", n, ErrBadRecord)
		}
		if cmds[i].Err() != nil {
			if _, isReply := cmds[i].Err().(redis.Error); !isReply { //nolint:errorlint // a reply is never wrapped
				yield(Pin{}, fail("read pins", false, err))
				return false
			}
			kerr = fmt.Errorf("pin %q: %w: %w", n, ErrBadRecord, cmds[i].Err())
		}
		p := Pin{Key: k}
		if kerr == nil {
			read, err := decodePin(k, cmds[i].Val())
			switch {
			case err != nil:
				kerr = fmt.Errorf("pin %s: %w", k, err)
			case read.State == None:
				continue // collected since the scan
			default:
				p = read
			}
		}
		if !yield(p, kerr) {
			return false
		}
	}
	return true
}
