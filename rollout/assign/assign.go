// Package assign says which version of an app an object should run. It is a
// pure function of a deployment and the object's name: no state, no I/O, the
// same answer on every machine and CPU.
//
// # How
//
// Weighted rendezvous hashing. Each version draws, for each object, a number
// u in (0,1] from SHA-256 of its salt, the class and the id, and scores
// -log2(u)/weight; the lowest score wins, ties go to the smaller name. That is
// a race of exponential clocks, so a version wins with probability
// weight/(sum of weights).
//
// # Guarantees
//
//   - Order independent: the order of the versions in the slice means nothing.
//   - Monotone: when one version's weight rises and the others stay as they
//     are, objects move only into that version; when it falls, only out of it.
//     [Scale] changes a share in just that way, so it holds exactly, not up to
//     rounding.
//   - A version keeps its objects when others come and go, because its salt is
//     its own and does not change while it is deployed.
//   - Exact: the logarithm is fixed-point integer arithmetic and scores are
//     compared as integers, so no floating-point unit, fused multiply-add or
//     compiler decides where an object lives.
//
// A new salt draws anew. The salt is fixed when a version enters a deployment;
// who keeps one salt for ever makes the same objects the guinea pigs each time.
package assign

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// Errors of this package.
var (
	ErrNoVersion = errors.New("no version has a weight above zero")
	ErrBadWeight = errors.New("a weight must be a finite number of at least zero")
	ErrDuplicate = errors.New("a version is listed twice")
)

// Version is one version of a deployment. Weights are relative: any scale.
// Weight 0 never wins.
type Version struct {
	Name   string
	Salt   string
	Weight float64
}

// Validate says why versions cannot be assigned from, or nil.
func Validate(versions []Version) error {
	seen := make(map[string]bool, len(versions))
	positive := false
	for _, v := range versions {
		if !validWeight(v.Weight) {
			return fmt.Errorf("%w: %s has %v", ErrBadWeight, v.Name, v.Weight)
		}
		if seen[v.Name] {
			return fmt.Errorf("%w: %s", ErrDuplicate, v.Name)
		}
		seen[v.Name] = true
		positive = positive || v.Weight > 0
	}
	if !positive {
		return ErrNoVersion
	}
	return nil
}

// Assign gives the version that the object (class, id) should run.
func Assign(versions []Version, class, id string) (string, error) {
	var best score
	found := false
	for i := range versions {
		v := &versions[i]
		if !validWeight(v.Weight) {
			return "", fmt.Errorf("%w: %s has %v", ErrBadWeight, v.Name, v.Weight)
		}
		if v.Weight == 0 {
			continue
		}
		if s := scoreOf(v, class, id); !found || s.less(best) {
			best, found = s, true
		}
	}
	if !found {
		return "", ErrNoVersion
	}
	return best.name, nil
}

// Ranked gives all versions that may run the object, best first; versions
// without a (valid) weight are left out. The first is what Assign says; the
// second is what Assign would say without the first, and so on.
func Ranked(versions []Version, class, id string) []string {
	scores := make([]score, 0, len(versions))
	for i := range versions {
		if v := &versions[i]; validWeight(v.Weight) && v.Weight > 0 {
			scores = append(scores, scoreOf(v, class, id))
		}
	}
	slices.SortFunc(scores, func(a, b score) int {
		if a.less(b) {
			return -1
		}
		if b.less(a) {
			return 1
		}
		return 0
	})
	names := make([]string, len(scores))
	for i, s := range scores {
		names[i] = s.name
	}
	return slices.Compact(names)
}

func validWeight(w float64) bool { return w >= 0 && !math.IsInf(w, 1) } // false for NaN

// score is cost/weight, the weight as mantissa·2^exponent so that two scores
// compare exactly.
type score struct {
	cost     uint64 // -log2(u), fixed point with logBits fractional bits
	mantissa uint64
	exponent int
	name     string
}

func scoreOf(v *Version, class, id string) score {
	frac, exp := math.Frexp(v.Weight) // exact: v.Weight = frac·2^exp, frac in [0.5,1)
	return score{
		cost:     negLog2(draw(v.Salt, class, id)),
		mantissa: uint64(frac * (1 << 53)), // exact: a float64 has 53 bits
		exponent: exp,
		name:     v.Name,
	}
}

// less says a.cost/a.weight < b.cost/b.weight, that is
// a.cost·b.mantissa·2^b.exponent < b.cost·a.mantissa·2^a.exponent.
func (a score) less(b score) bool {
	aHi, aLo := bits.Mul64(a.cost, b.mantissa)
	bHi, bLo := bits.Mul64(b.cost, a.mantissa)
	if c := compareScaled(aHi, aLo, b.exponent, bHi, bLo, a.exponent); c != 0 {
		return c < 0
	}
	return a.name < b.name
}

// compareScaled compares x·2^xe with y·2^ye for 128-bit x and y.
func compareScaled(xHi, xLo uint64, xe int, yHi, yLo uint64, ye int) int {
	xLen, yLen := bitLen(xHi, xLo), bitLen(yHi, yLo)
	if xLen == 0 || yLen == 0 {
		return xLen - yLen
	}
	if c := (xLen + xe) - (yLen + ye); c != 0 {
		return c
	}
	// Equal magnitude: the shorter can be shifted to the longer's length, exactly.
	if xLen < yLen {
		xHi, xLo = shiftLeft(xHi, xLo, yLen-xLen)
	} else {
		yHi, yLo = shiftLeft(yHi, yLo, xLen-yLen)
	}
	switch {
	case xHi != yHi && xHi < yHi, xHi == yHi && xLo < yLo:
		return -1
	case xHi == yHi && xLo == yLo:
		return 0
	}
	return 1
}

func bitLen(hi, lo uint64) int {
	if hi != 0 {
		return 64 + bits.Len64(hi)
	}
	return bits.Len64(lo)
}

func shiftLeft(hi, lo uint64, n int) (uint64, uint64) {
	if n >= 64 {
		return lo << (n - 64), 0
	}
	return hi<<n | lo>>(64-n), lo << n
}

// draw gives 64 uniform bits for one version and one object: the first eight
// bytes, big endian, of SHA-256 over salt, class and id, each preceded by its
// length in four bytes, big endian. The lengths keep ("ab","c") from ("a","bc").
func draw(salt, class, id string) uint64 {
	var stack [256]byte // typical names fit: no allocation
	b := stack[:0]
	for _, s := range [...]string{salt, class, id} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8])
}

// logBits is how many fractional bits negLog2 gives. A version with 0.001 %
// wins when its cost is below 10^-5 of the other's; 2^-56 leaves 39 bits below that.
const logBits = 56

// negLog2 gives -log2((h+1)/2^64) in fixed point: 64·2^logBits for h = 0, 0 for
// the greatest h. Bit by bit: the fraction's next bit is whether the square of
// a number in [1,2) reaches 2. Truncation makes the last bits noise, the same
// noise everywhere.
func negLog2(h uint64) uint64 {
	if h == math.MaxUint64 {
		return 0
	}
	h++
	whole := uint64(bits.Len64(h) - 1)
	x := h << (63 - whole) // 1.63 fixed point in [1,2)
	log := whole
	for range logBits {
		hi, lo := bits.Mul64(x, x) // 2.126
		log <<= 1
		if hi>>63 == 1 {
			log |= 1
			x = hi
		} else {
			x = hi<<1 | lo>>63
		}
	}
	return 64<<logBits - log
}

// Normalize gives each version's share in percent, by name; they add up to 100.
func Normalize(versions []Version) map[string]float64 {
	total := sum(versions, "")
	shares := make(map[string]float64, len(versions))
	for _, v := range versions {
		if total > 0 {
			shares[v.Name] = v.Weight / total * 100
		}
	}
	return shares
}

// sum adds the weights of all versions but one, in the order of their names,
// so that the last bit does not depend on the order of the slice.
func sum(versions []Version, except string) float64 {
	sorted := slices.Clone(versions)
	slices.SortFunc(sorted, func(a, b Version) int { return strings.Compare(a.Name, b.Name) })
	total := 0.0
	for _, v := range sorted {
		if v.Name != except {
			total += v.Weight
		}
	}
	return total
}
