package owners

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Errors of the store. Any other error of a call that writes is an unknown outcome: re-read.
var (
	ErrFenced      = errors.New("session is fenced")                       // renew, drain: the record is final or missing
	ErrUnknown     = errors.New("outcome unknown")                         // fewer replicas than asked for answered, or no answer
	ErrEpochHold   = errors.New("store is holding after it lost its data") // acquire while the epoch is not open
	ErrUnavailable = errors.New("store unavailable")
	ErrNoSession   = errors.New("no such session")
	ErrBadSession  = errors.New("not a session id")                             // 32 lower-case hexadecimal digits
	ErrBadToken    = errors.New("not a token")                                  // 1 to 2^53-1
	ErrBadRecord   = errors.New("record cannot be read")                        // not written by skewgate
	ErrNewer       = errors.New("record was written by a newer skewgate")       // refused, not guessed
	ErrLease       = errors.New("lease is not allowed")                         // longer than leases.max
	ErrSessions    = errors.New("the store has sessions: wait until it opens")  // Init
	ErrMeta        = errors.New("store was laid out for another configuration") // partitions, hash
)

// An error reply that begins so says that the store cannot serve now; the script did not run.
var cannotServe = []string{
	"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "OOM", "MISCONF",
	"NOAUTH", "WRONGPASS", "NOPERM", "ERR ACL failure in script", "ERR max number of clients",
}

// fail wraps what the client library returned. After a lost reply a call that
// writes may have run: such an error is ErrUnknown too.
func fail(op string, writes bool, err error) error {
	if err == nil {
		return nil
	}
	var reply redis.Error
	if errors.As(err, &reply) && !errors.Is(err, context.DeadlineExceeded) {
		for _, p := range cannotServe {
			if strings.HasPrefix(reply.Error(), p) {
				return fmt.Errorf("%s: %w: %w", op, ErrUnavailable, err)
			}
		}
		if strings.Contains(reply.Error(), "WRONGTYPE") { // the embedded store has words before it
			return fmt.Errorf("%s: %w: %w", op, ErrBadRecord, err)
		}
		return fmt.Errorf("%s: %w", op, err)
	}
	if writes {
		return fmt.Errorf("%s: %w, %w: %w", op, ErrUnavailable, ErrUnknown, err)
	}
	return fmt.Errorf("%s: %w: %w", op, ErrUnavailable, err)
}
