package owners

import (
	"fmt"
	"strconv"
)

const (
	// MaxFloor is the highest floor that an acquire heeds; a higher one is not a
	// time, and is ignored so that nobody can spend the token space.
	MaxFloor = 1 << 52

	maxToken = 1<<53 - 1 // the scripts count in doubles
)

// ParseToken reads a fencing token in decimal digits.
func ParseToken(s string) (int64, error) {
	t, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s[0] == '+' {
		return 0, fmt.Errorf("%w: %q is not a decimal number", ErrBadToken, s)
	}
	return t, validToken(t)
}

// FormatToken writes a fencing token as ParseToken reads it.
func FormatToken(t int64) string { return strconv.FormatInt(t, 10) }

func validToken(t int64) error {
	if t <= 0 || t > maxToken {
		return fmt.Errorf("%w: %d is not in 1 to 2^53-1", ErrBadToken, t)
	}
	return nil
}
