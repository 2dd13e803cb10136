package skew

import (
	"math/bits"
	"time"
)

// Histogram counts latencies in buckets of a quarter of a power of two of
// microseconds: any quantile is right to within 19 %. The zero value is empty.
type Histogram map[int]int64

// subBits gives 2^subBits buckets for each doubling.
const subBits = 2

// bucketOf gives the bucket of d; bucket b holds [lower(b), lower(b+1)).
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 1<<subBits {
		return int(us)
	}
	exp := bits.Len64(us) - 1
	sub := us >> (exp - subBits) & (1<<subBits - 1)
	return (exp-subBits+1)<<subBits + int(sub)
}

// lower gives the least latency of bucket b.
func lower(b int) time.Duration {
	if b < 1<<subBits {
		return time.Duration(b) * time.Microsecond
	}
	exp := b>>subBits + subBits - 1
	sub := uint64(b & (1<<subBits - 1))
	return time.Duration((1<<subBits|sub)<<(exp-subBits)) * time.Microsecond
}

func (h Histogram) merge(o Histogram) {
	for b, n := range o {
		h[b] += n
	}
}

// Quantile gives an upper bound of the q-quantile: the top of its bucket; 0 when empty.
func (h Histogram) Quantile(q float64) time.Duration {
	var total int64
	top := 0
	for b, n := range h {
		total += n
		top = max(top, b)
	}
	if total == 0 {
		return 0
	}
	rank := int64(q*float64(total-1)) + 1
	for b := 0; b <= top; b++ {
		if rank -= h[b]; rank <= 0 {
			return lower(b + 1)
		}
	}
	return lower(top + 1)
}
