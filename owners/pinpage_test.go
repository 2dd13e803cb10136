package owners_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// putPins writes n pins of a class as the acquire script would have left them.
func putPins(t *testing.T, rdb redis.UniversalClient, class string, from, n int) {
	t.Helper()
	sid := owners.NewSID()
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range n {
			p.HSet(t.Context(), fmt.Sprintf("{p0}:pin:%s/%d", class, from+i), "f", 1, "s", "o", "i", sid, "t", 1_700_000_000_000_000+i, "v", "v1", "c", 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPinPages(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{
		"embedded": func(t *testing.T) string {
			e, err := owners.StartEmbedded("127.0.0.1:"+strconv.Itoa(testenv.Port(t)), true)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			return e.URL()
		},
		"redis": func(t *testing.T) string { return "redis://" + testenv.Redis(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, owners.Options{URL: url(t)})
			t.Run("an empty store", func(t *testing.T) {
				if p, err := s.PinPage(t.Context(), owners.PinCursor{}, 10); err != nil || len(p.Pins) > 0 || !p.Last {
					t.Errorf("%+v, %v", p, err)
				}
			})
			t.Run("none that stands is missed while the table grows", func(t *testing.T) { walkWhileGrowing(t, s) })
			t.Run("what cannot be read is named and passed over", func(t *testing.T) {
				putPins(t, s.Redis(), "New", 0, 1)
				s.Redis().HSet(t.Context(), "{p0}:pin:New/0", "f", 9)
				s.Redis().HSet(t.Context(), "{p0}:pin:New/1", "f", 1, "s", "?")
				var bad []error
				for at, last := (owners.PinCursor{}), false; !last; {
					p, err := s.PinPage(t.Context(), at, 500)
					if err != nil {
						t.Fatal(err)
					}
					bad, at, last = append(bad, p.Bad...), p.Next, p.Last
				}
				if err := errors.Join(bad...); len(bad) != 2 || !errors.Is(err, owners.ErrNewer) || !errors.Is(err, owners.ErrBadRecord) {
					t.Errorf("%v", bad)
				}
			})
		})
	}
}

// walkWhileGrowing walks in steps of 7 while 20 pins a step come to the first
// 200, over several doublings of the server's table; each cursor travels as text.
func walkWhileGrowing(t *testing.T, s *owners.Store) {
	const standing = 200
	putPins(t, s.Redis(), "Cart", 0, standing)
	seen := map[string]int{}
	var at owners.PinCursor
	for made := 0; ; made += 20 {
		p, err := s.PinPage(t.Context(), at, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Pins) > 7+40 {
			t.Fatalf("%d pins in a step of 7", len(p.Pins))
		}
		for _, pin := range p.Pins {
			seen[pin.Key.String()]++
		}
		if p.Last {
			break
		}
		if made < 800 {
			putPins(t, s.Redis(), "Late", made, 20)
		}
		if at, err = owners.ParsePinCursor(p.Next.String()); err != nil || at != p.Next {
			t.Fatalf("cursor %v came back as %v, %v", p.Next, at, err)
		}
	}
	for i := range standing {
		if k := fmt.Sprintf("Cart/%d", i); seen[k] == 0 {
			t.Errorf("%s was there all the time and was not given", k)
		}
	}
}

func TestCursorsThatAreNone(t *testing.T) {
	for _, s := range []string{"!", "x", "MTI", "eCB5", "LTEg"} {
		if c, err := owners.ParsePinCursor(s); !errors.Is(err, owners.ErrBadCursor) {
			t.Errorf("%q: %v, %v", s, c, err)
		}
	}
}
