package assign

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Other implementations (an Envoy filter, a client in another language) must
// give the same answers: these values never change.
func TestGoldenAssignments(t *testing.T) {
	versions := []Version{{"v41", "s-41", 80}, {"v42", "s-42", 20}, {"v40", "s-40", 0.001}}
	golden := map[string]string{
		"8812": "v41", "8813": "v41", "8814": "v41", "a": "v41", "room/1": "v42", "日本": "v42",
	}
	got := map[string]string{}
	for id := range golden {
		v, err := Assign(versions, "Cart", id)
		if err != nil {
			t.Fatal(err)
		}
		got[id] = v
	}
	for id, want := range golden {
		if got[id] != want {
			t.Errorf("Assign(%q) = %s, want %s", id, got[id], want)
		}
	}
}

func TestGoldenDraws(t *testing.T) {
	for _, c := range []struct {
		salt, class, id string
		draw, cost      uint64
	}{
		{"s-41", "Cart", "8812", 0xf029e6f761f964bd, 0x17958ec2260e0f},
		{"", "", "", 0x15ec7bf0b50732b4, 0x38baae29f513c0d},
	} {
		d := draw(c.salt, c.class, c.id)
		if d != c.draw || negLog2(d) != c.cost {
			t.Errorf("draw(%q,%q,%q) = %#x, cost %#x; want %#x, %#x", c.salt, c.class, c.id, d, negLog2(d), c.draw, c.cost)
		}
	}
}

func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		name     string
		versions []Version
		want     error
	}{
		{"none", nil, ErrNoVersion},
		{"all zero", []Version{{"a", "1", 0}, {"b", "2", 0}}, ErrNoVersion},
		{"negative", []Version{{"a", "1", -1}, {"b", "2", 1}}, ErrBadWeight},
		{"not a number", []Version{{"a", "1", math.NaN()}}, ErrBadWeight},
		{"infinite", []Version{{"a", "1", math.Inf(1)}}, ErrBadWeight},
	} {
		if _, err := Assign(c.versions, "C", "1"); !errors.Is(err, c.want) {
			t.Errorf("%s: Assign gives %v, want %v", c.name, err, c.want)
		}
		if err := Validate(c.versions); !errors.Is(err, c.want) {
			t.Errorf("%s: Validate gives %v, want %v", c.name, err, c.want)
		}
	}
	if err := Validate([]Version{{"a", "1", 1}, {"a", "2", 1}}); !errors.Is(err, ErrDuplicate) {
		t.Errorf("a name twice: %v", err)
	}
}

// genVersions draws a deployment of 1 to 6 versions with weights from 0.001 to 1000.
func genVersions(t *rapid.T) []Version {
	n := rapid.IntRange(1, 6).Draw(t, "versions")
	out := make([]Version, n)
	for i := range out {
		out[i] = Version{
			Name:   fmt.Sprintf("v%d", i),
			Salt:   rapid.StringN(0, 8, -1).Draw(t, "salt"),
			Weight: float64(rapid.IntRange(0, 1_000_000).Draw(t, "weight")) / 1000,
		}
	}
	return out
}

func TestOrderOfVersionsMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := genVersions(t)
		id := rapid.String().Draw(t, "id")
		shuffled := rapid.Permutation(versions).Draw(t, "order")
		a, errA := Assign(versions, "Cart", id)
		b, errB := Assign(shuffled, "Cart", id)
		if a != b || (errA == nil) != (errB == nil) {
			t.Fatalf("%q: %s (%v) in one order, %s (%v) in another", id, a, errA, b, errB)
		}
		if !slices.Equal(Ranked(versions, "Cart", id), Ranked(shuffled, "Cart", id)) {
			t.Fatal("ranking depends on the order of versions")
		}
	})
}

func TestOnlyTheScaledVersionGainsOrLoses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := append(genVersions(t), Version{"other", "o", 1})
		to := versions[rapid.IntRange(0, len(versions)-2).Draw(t, "to")].Name
		p := rapid.Float64Range(0, 100).Draw(t, "p")
		q := rapid.Float64Range(p, 100).Draw(t, "q")
		low, err := Scale(versions, to, p)
		if err != nil {
			t.Fatal(err)
		}
		high, err := Scale(versions, to, q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			id := fmt.Sprint(i)
			a, _ := Assign(low, "Cart", id)
			b, _ := Assign(high, "Cart", id)
			if a != b && b != to {
				t.Fatalf("raising %s from %v to %v %% moved %s from %s to %s", to, p, q, id, a, b)
			}
		}
	})
}

func TestRankedIsAssignWithTheBestTakenAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := genVersions(t)
		id := rapid.String().Draw(t, "id")
		left := slices.Clone(versions)
		for _, want := range Ranked(versions, "Cart", id) {
			got, err := Assign(left, "Cart", id)
			if err != nil || got != want {
				t.Fatalf("with %v left: %s (%v), ranking says %s", left, got, err, want)
			}
			left = slices.DeleteFunc(left, func(v Version) bool { return v.Name == want })
		}
		if _, err := Assign(left, "Cart", id); !errors.Is(err, ErrNoVersion) {
			t.Fatalf("ranking left out one of %v", left)
		}
	})
}

// The shares are what the weights say: within five standard deviations of the
// binomial, with ids that look like real ones.
func TestSharesFollowWeights(t *testing.T) {
	const n = 200_000
	versions := []Version{{"a", "salt-a", 49}, {"b", "salt-b", 50}, {"c", "salt-c", 1}, {"d", "salt-d", 0.01}}
	counts := map[string]int{}
	for i := range n {
		v, err := Assign(versions, "Cart", fmt.Sprintf("cart-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		counts[v]++
	}
	for name, percent := range Normalize(versions) {
		p := percent / 100
		mean, sd := n*p, math.Sqrt(n*p*(1-p))
		if got := float64(counts[name]); math.Abs(got-mean) > 5*sd {
			t.Errorf("%s has %v objects, expected %.1f ± %.1f", name, got, mean, 5*sd)
		}
	}
}

// A new version at 1 % takes 1 %, in proportion from both, and nothing moves between the two.
func TestNewVersionTakesFromAllInProportion(t *testing.T) {
	const n = 100_000
	old := []Version{{"a", "1", 50}, {"b", "2", 50}, {"c", "3", 0}}
	new, err := Scale(old, "c", 1)
	if err != nil {
		t.Fatal(err)
	}
	sample := make([]Object, n)
	for i := range sample {
		sample[i] = Object{"Cart", fmt.Sprint(i)}
	}
	for _, m := range Moves(old, new, sample) {
		if m.To != "c" || math.Abs(float64(m.Count)-n*0.005) > 5*math.Sqrt(n*0.005) {
			t.Errorf("unexpected move %+v", m)
		}
	}
}

// Versions' draws are independent: what was assigned to one version is spread
// by weight when that version leaves, not dumped on one neighbour.
func TestLeavingVersionIsSpread(t *testing.T) {
	before := []Version{{"a", "1", 1}, {"b", "2", 1}, {"c", "3", 1}}
	after := before[:2]
	var sample []Object
	for i := range 60_000 {
		sample = append(sample, Object{"Cart", fmt.Sprint(i)})
	}
	for _, m := range Moves(before, after, sample) {
		if m.From != "c" {
			t.Errorf("%+v: only c left", m)
		}
		if math.Abs(float64(m.Count)-10_000) > 600 {
			t.Errorf("%+v: expected about 10000 to each", m)
		}
	}
}

func TestScaleRefuses(t *testing.T) {
	v := []Version{{"a", "1", 100}, {"b", "2", 0}}
	for _, c := range []struct {
		to      string
		percent float64
		want    error
	}{{"c", 1, ErrNotDeployed}, {"b", -1, ErrBadPercent}, {"b", 101, ErrBadPercent}, {"b", math.NaN(), ErrBadPercent}, {"a", 50, ErrNobodyElse}} {
		if _, err := Scale(v, c.to, c.percent); !errors.Is(err, c.want) {
			t.Errorf("Scale(%s, %v) = %v, want %v", c.to, c.percent, err, c.want)
		}
	}
}

// The fixed-point logarithm against arbitrary precision, and its ends.
func TestNegLog2IsALogarithm(t *testing.T) {
	if negLog2(math.MaxUint64) != 0 || negLog2(0) != 64<<logBits {
		t.Fatalf("ends: %d, %d", negLog2(math.MaxUint64), negLog2(0))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		h := r.Uint64() >> r.IntN(64)
		if h == math.MaxUint64 {
			continue
		}
		u, _ := new(big.Float).Quo(new(big.Float).SetUint64(h+1), big.NewFloat(math.Exp2(64))).Float64()
		got := float64(negLog2(h)) / (1 << logBits)
		if want := -math.Log2(u); math.Abs(got-want) > 1e-12*(1+want) {
			t.Fatalf("negLog2(%#x) = %v, want %v", h, got, want)
		}
	}
}

// Scores compare exactly, checked against big integers.
func TestScoresCompareExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mk := func(name string) (score, *big.Rat) {
			w := rapid.Float64Range(1e-300, 1e300).Draw(t, "weight")
			frac, exp := math.Frexp(w)
			s := score{cost: rapid.Uint64Range(0, 64<<logBits).Draw(t, "cost"), mantissa: uint64(frac * (1 << 53)), exponent: exp, name: name}
			return s, new(big.Rat).Quo(new(big.Rat).SetInt(new(big.Int).SetUint64(s.cost)), new(big.Rat).SetFloat64(w))
		}
		a, ra := mk("a")
		b, rb := mk("b")
		if want := ra.Cmp(rb) <= 0; a.less(b) != want { // a wins ties by name
			t.Fatalf("%+v < %+v = %v", a, b, !want)
		}
	})
}

func FuzzAssign(f *testing.F) {
	f.Add("s", "t", "Cart", "1", 1.0, 2.0)
	f.Add("", "", "", "", 0.0, math.NaN())
	f.Fuzz(func(t *testing.T, s1, s2, class, id string, w1, w2 float64) {
		v := []Version{{"a", s1, w1}, {"b", s2, w2}}
		got, err := Assign(v, class, id)
		if (err == nil) != (got == "a" || got == "b") {
			t.Fatalf("%q with error %v", got, err)
		}
		if ranked := Ranked(v, class, id); err == nil && ranked[0] != got {
			t.Fatalf("ranked %v, assigned %s", ranked, got)
		}
	})
}

func BenchmarkAssign(b *testing.B) {
	versions := []Version{{"v41", "0a1b2c3d4e5f", 80}, {"v42", "5f4e3d2c1b0a", 20}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Assign(versions, "Cart", "user-8812"); err != nil {
			b.Fatal(err)
		}
	}
}
