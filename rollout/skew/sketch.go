package skew

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
)

// sketch counts distinct objects: HyperLogLog with 2^sketchBits registers
// (Flajolet et al. 2007, linear counting for small sets). Sketches of several
// gateways and minutes merge without counting an object twice, which is why
// this is not a plain counter. Standard error 1.04/sqrt(4096) = 1.6 %.
type sketch struct {
	registers [1 << sketchBits]uint8
	dirty     bool
}

const sketchBits = 12

var errSketch = errors.New("malformed sketch")

// add counts one object. The hash is FNV-1a with a finalizer (FNV alone leaves
// the high bits of similar ids alike); it is part of the stored format.
func (s *sketch) add(id string) {
	h := uint64(14695981039346656037)
	for i := 0; i < len(id); i++ {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	h ^= h >> 31
	i := h >> (64 - sketchBits)
	rank := uint8(bits.LeadingZeros64(h<<sketchBits|1<<(sketchBits-1)) + 1)
	if rank > s.registers[i] {
		s.registers[i] = rank
		s.dirty = true
	}
}

func (s *sketch) merge(o *sketch) {
	for i, r := range o.registers {
		s.registers[i] = max(s.registers[i], r)
	}
}

// count estimates how many distinct objects were added.
func (s *sketch) count() int64 {
	const m = float64(1 << sketchBits)
	sum, zeros := 0.0, 0
	for _, r := range s.registers {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			zeros++
		}
	}
	estimate := 0.7213 / (1 + 1.079/m) * m * m / sum
	if estimate <= 2.5*m && zeros > 0 {
		estimate = m * math.Log(m/float64(zeros))
	}
	return int64(math.Round(estimate))
}

// encode gives the registers, as (index, rank) triples of bytes while that is shorter.
func (s *sketch) encode() []byte {
	sparse := []byte{'s'}
	for i, r := range s.registers {
		if r > 0 {
			sparse = append(binary.BigEndian.AppendUint16(sparse, uint16(i)), r)
		}
		if len(sparse) > len(s.registers) {
			return append([]byte{'d'}, s.registers[:]...)
		}
	}
	return sparse
}

// decode reads what encode wrote.
func (s *sketch) decode(b []byte) error {
	if len(b) == 0 {
		return errSketch
	}
	kind, b := b[0], b[1:]
	switch {
	case kind == 'd' && len(b) == len(s.registers):
		copy(s.registers[:], b)
	case kind == 's' && len(b)%3 == 0:
		for ; len(b) > 0; b = b[3:] {
			i := int(binary.BigEndian.Uint16(b))
			if i >= len(s.registers) {
				return errSketch
			}
			s.registers[i] = b[2]
		}
	default:
		return errSketch
	}
	return nil
}
