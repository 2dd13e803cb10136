package storage

import "fmt"

// Limits of what an object may keep. Zero values mean the defaults in the comments.
type Limits struct {
	Key   int // bytes of a key; 2 KiB
	Value int // bytes of a value; 128 KiB
	Ops   int // writes in one transaction; 512
}

func (l Limits) withDefaults() Limits {
	if l.Key == 0 {
		l.Key = 2 << 10
	}
	if l.Value == 0 {
		l.Value = 128 << 10
	}
	if l.Ops == 0 {
		l.Ops = 512
	}
	return l
}

// LimitError says what was too large.
type LimitError struct {
	What     string // "key", "value", "transaction", "list"
	Got, Max int
}

// Error says what, how large, and what is allowed.
func (e *LimitError) Error() string {
	unit := "bytes"
	switch e.What {
	case "transaction":
		unit = "writes"
	case "list":
		return fmt.Sprintf("%v: a list of %d entries was asked for; 1 to %d are given, 0 means %d: go on from the key after the last", ErrLimit, e.Got, e.Max, e.Max)
	}
	if e.Got == 0 {
		return fmt.Sprintf("%v: the %s is empty", ErrLimit, e.What)
	}
	return fmt.Sprintf("%v: the %s has %d %s, at most %d are allowed", ErrLimit, e.What, e.Got, unit, e.Max)
}

// Unwrap makes errors.Is(err, ErrLimit) true.
func (e *LimitError) Unwrap() error { return ErrLimit }
