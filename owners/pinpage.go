package owners

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrBadCursor says that a cursor is none that PinPage gave.
var ErrBadCursor = errors.New("not a cursor of this list")

// PinCursor is a place in a walk over the pins; its zero value is the start. It
// stays good for as long as the store has its data, whoever asks next.
type PinCursor struct {
	scan  uint64 // the server's own cursor
	after string // names up to this one have been given
}

// String is the cursor for ParsePinCursor; "" for the start.
func (c PinCursor) String() string {
	if c == (PinCursor{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatUint(c.scan, 10) + " " + c.after))
}

// ParsePinCursor reads what String wrote; an error is ErrBadCursor.
func ParsePinCursor(s string) (PinCursor, error) {
	if s == "" {
		return PinCursor{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	scan, after, ok := strings.Cut(string(b), " ")
	n, nerr := strconv.ParseUint(scan, 10, 64)
	if err != nil || nerr != nil || !ok {
		return PinCursor{}, fmt.Errorf("%w: %q", ErrBadCursor, s)
	}
	return PinCursor{n, after}, nil
}

// PinPage is a step of a walk.
type PinPage struct {
	Pins []Pin
	Bad  []error   // records that cannot be read, each with its key
	Next PinCursor // where to go on
	Last bool      // there is no more
}

// PinPage walks about n keys of the store from a cursor on and gives the pins
// among them, which may be none. A walk to the end gives every pin that is
// there all the time; one that is made or collected meanwhile may be missed, or given twice.
//
// A Redis server ends a step where its table allows, a few keys later than
// asked. One that gives all keys at once (the embedded store; a small table) is
// walked by name instead: what has been given once is passed over from then on.
func (s *Store) PinPage(ctx context.Context, at PinCursor, n int) (PinPage, error) {
	names, next, err := s.rdb.Scan(ctx, at.scan, pinPrefix+"*", int64(n)).Result()
	if err != nil {
		return PinPage{}, fail("scan pins", false, err)
	}
	slices.Sort(names)
	names = slices.Compact(names) // SCAN may give one twice
	names = slices.DeleteFunc(names, func(name string) bool { return name <= at.after })
	out := PinPage{Next: PinCursor{next, at.after}, Last: next == 0}
	if whole := at.scan == 0 && next == 0; whole && len(names) > n {
		names = names[:n]
		out.Next, out.Last = PinCursor{after: names[n-1]}, false
	}
	var lost error
	s.readPins(ctx, names, func(p Pin, err error) bool {
		switch {
		case err == nil:
			out.Pins = append(out.Pins, p)
		case errors.Is(err, ErrBadRecord), errors.Is(err, ErrNewer):
			out.Bad = append(out.Bad, err)
		default:
			out, lost = PinPage{}, err
		}
		return lost == nil
	})
	return out, lost
}
