package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// history is everything that happened in a run, one line a record, in one
// order for all nodes: requests and their answers, events and refusals at the
// gates, pins and values as the store takes them, faults, violations. Its
// hash tells whether two runs were the same.
type history struct {
	h        hash.Hash
	w        io.Writer // nil: only the hash is kept
	from     time.Time
	line     []byte
	records  int
	sessions map[string]string
}

func newHistory(w io.Writer) *history {
	return &history{h: sha256.New(), w: w, from: time.Now(), sessions: map[string]string{}}
}

// add appends a record. Whoever calls holds the lock of the check.
func (h *history) add(kind string, fields ...string) {
	h.records++
	b := strconv.AppendInt(h.line[:0], int64(time.Since(h.from)), 10)
	b = append(append(b, ' '), kind...)
	for _, f := range fields {
		b = append(append(b, ' '), f...)
	}
	h.line = append(b, '\n')
	h.h.Write(h.line)
	if h.w != nil {
		_, _ = h.w.Write(h.line) // for people
	}
}

// session names a session by the order in which it appeared: ids are random.
func (h *history) session(sid string) string {
	n, ok := h.sessions[sid]
	if !ok {
		n = "s" + strconv.Itoa(len(h.sessions)+1)
		h.sessions[sid] = n
	}
	return n
}

func (h *history) sum() string { return hex.EncodeToString(h.h.Sum(nil)[:16]) }

// Stats count what happened.
type Stats struct {
	Events     int   // handlers that began
	OK         int   // requests that were answered
	Unknown    int   // requests whose outcome nobody told
	Shed       int   // requests given up unsent
	Attempts   int   // at hosts
	Resends    int   // of them, of requests that had been refused or had reached nobody
	Held       int   // most requests of one object that one gateway held
	HeldBytes  int64 // most bytes that one gateway provably kept
	Refused    int   // attempts that a gate refused, or that reached nobody
	Turns      int   // objects that made room for another where hosts are crowded
	Moves      int   // owners that followed one that had released
	Mints      int   // owners
	Duplicates int   // tokens minted twice, after a rollback; none may be used twice
	Faults     map[string]int
	Recovery   time.Duration // of the slowest object after the faults
	Records    int           // of the history
	Hash       string        // of the history
}

func (s *Stats) add(x Stats) {
	s.Events += x.Events
	s.OK += x.OK
	s.Unknown += x.Unknown
	s.Shed += x.Shed
	s.Refused += x.Refused
	s.Attempts += x.Attempts
	s.Resends += x.Resends
	s.Held, s.HeldBytes = max(s.Held, x.Held), max(s.HeldBytes, x.HeldBytes)
	s.Turns += x.Turns
	s.Moves += x.Moves
	s.Mints += x.Mints
	s.Duplicates += x.Duplicates
	s.Records += x.Records
	s.Recovery = max(s.Recovery, x.Recovery)
	if s.Faults == nil {
		s.Faults = map[string]int{}
	}
	for f, n := range x.Faults {
		s.Faults[f] += n
	}
}

// String is one line; faults in the order of their names.
func (s Stats) String() string {
	var b strings.Builder
	for _, f := range []struct {
		name string
		n    int
	}{
		{"events", s.Events}, {"answered", s.OK}, {"unknown", s.Unknown}, {"shed", s.Shed}, {"refused", s.Refused},
		{"resends", s.Resends}, {"held", s.Held}, {"heldbytes", int(s.HeldBytes)},
		{"owners", s.Mints}, {"moves", s.Moves}, {"turns", s.Turns}, {"duplicates", s.Duplicates}, {"records", s.Records},
	} {
		b.WriteString(f.name + "=" + strconv.Itoa(f.n) + " ")
	}
	b.WriteString("recovery=" + s.Recovery.Round(time.Millisecond).String() + " faults:")
	for _, f := range slices.Sorted(maps.Keys(s.Faults)) {
		b.WriteString(" " + f + "=" + strconv.Itoa(s.Faults[f]))
	}
	return b.String() + " hash=" + s.Hash
}

// Result is what a run gives.
type Result struct {
	Stats
	Broken map[string][]string // violations by invariant
}
