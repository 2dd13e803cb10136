package owners_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/skewgate/skewgate/owners"
)

func TestKeysThatAreValidSurviveTheWire(t *testing.T) {
	t.Parallel()
	class := rapid.StringMatching(`[A-Za-z][A-Za-z0-9_.~-]{0,30}`)
	rapid.Check(t, func(rt *rapid.T) {
		k := owners.Key{Class: class.Draw(rt, "class"), ID: string(rapid.SliceOfN(rapid.Byte(), 0, 520).Draw(rt, "id"))}
		bad := len(k.ID) == 0 || len(k.ID) > owners.MaxIDLen ||
			strings.ContainsFunc(strings.ToValidUTF8(k.ID, "x"), func(r rune) bool { return r < 0x20 || r == 0x7f })
		if err := k.Validate(); (err != nil) != bad || err != nil && !errors.Is(err, owners.ErrBadKey) {
			rt.Fatalf("%q: %v", k, err)
		}
		if bad {
			return
		}
		s := k.String()
		got, err := owners.ParseKey(s)
		if err != nil || got != k {
			rt.Fatalf("%q became %q, %v", k, got, err)
		}
		for i := range len(s) { // fit for a header and for a name in the store
			if c := s[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte("{}*?[]\\\"", c) >= 0 {
				rt.Fatalf("%q has %q", s, c)
			}
		}
	})
}

func TestKeysNeverMeet(t *testing.T) {
	t.Parallel()
	part := rapid.StringMatching(`[ab/%{}:. é25F]{1,6}`)
	rapid.Check(t, func(rt *rapid.T) {
		a := owners.Key{Class: part.Draw(rt, "class a"), ID: part.Draw(rt, "id a")}
		b := owners.Key{Class: part.Draw(rt, "class b"), ID: part.Draw(rt, "id b")}
		if a.Validate() == nil && b.Validate() == nil && (a == b) != (a.String() == b.String()) {
			rt.Fatalf("%q and %q: %s and %s", a, b, a, b)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"Cart/8812", "Cart/a%2Fb", "Cart/%", "Cart", "/", "a/b/c", "C/%00", "Cart/" + strings.Repeat("x", 513), "{p0}/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := owners.ParseKey(s)
		if err != nil {
			if !errors.Is(err, owners.ErrBadKey) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		again, err := owners.ParseKey(k.String())
		if err != nil || again != k {
			t.Errorf("%q is %+v, written %q, read %+v, %v", s, k, k.String(), again, err)
		}
	})
}

func TestTokensAreDecimalNumbers(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{
		"1": 1, "1795458727472558": 1795458727472558, "9007199254740991": 1<<53 - 1,
		"": 0, "0": 0, "-1": 0, "+1": 0, "1e3": 0, "0x10": 0, " 1": 0, "1 ": 0, "9007199254740992": 0, "99999999999999999999": 0, "abc": 0,
	} {
		got, err := owners.ParseToken(s)
		if want != 0 && (err != nil || got != want || owners.FormatToken(got) != s) || want == 0 && !errors.Is(err, owners.ErrBadToken) {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
}

func TestSessionIDsAreUniqueAndValid(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		sid := owners.NewSID()
		if err := owners.ValidSID(sid); err != nil || seen[sid] {
			t.Fatalf("%q: %v, seen before: %v", sid, err, seen[sid])
		}
		seen[sid] = true
	}
}
