package mesh

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// rate is events per second, written COUNT/UNIT with unit s, m or h; 0 alone
// is no limit.
type rate float64

// UnmarshalText reads "10/s", "600/m", "0.5/s" or "0".
func (r *rate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "0" {
		*r = 0
		return nil
	}
	count, unit, ok := strings.Cut(s, "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[strings.TrimSpace(unit)]
	n, err := strconv.ParseFloat(strings.TrimSpace(count), 64)
	if !ok || per == 0 || err != nil || !(n > 0) || math.IsInf(n, 0) {
		return fmt.Errorf("want a rate such as 10/s, 600/m or 0 (no limit), not %q", s)
	}
	*r = rate(n / per.Seconds())
	return nil
}

// byteCount is a number of bytes, with a binary unit or none.
type byteCount int64

var errByteCount = errors.New("not a number of bytes")

// UnmarshalText reads "64MiB", "512KiB", "1GiB" or "4096".
func (b *byteCount) UnmarshalText(text []byte) error {
	n, err := parseBytes(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("want bytes such as 64MiB, 512KiB or 4096, not %q", text)
	}
	*b = byteCount(n)
	return nil
}

func parseBytes(s string) (int64, error) {
	shift := 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			s, shift = strings.TrimSpace(rest), 10*(i+1)
		}
	}
	if shift == 0 {
		s = strings.TrimSpace(strings.TrimSuffix(s, "B"))
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, errByteCount
	}
	return n << shift, nil
}
