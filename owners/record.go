package owners

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// format is the version of the records that this code reads and writes. A
// record with a higher one is refused, never guessed.
const format = "1"

// A reply is what every script answers: a status, then strings (nil for a
// field that is missing). It is decoded here and nowhere else. With the status
// "format" the record itself says what is wrong with it.
type reply struct {
	status string
	fields []any
	acked  int64  // by how many replicas, where it was asked
	runID  string // of the server that ran it, where it was asked
}

func decodeReply(v any) (reply, error) {
	a, ok := v.([]any)
	if !ok || len(a) == 0 {
		return reply{}, fmt.Errorf("%w: a script answered %v", ErrBadRecord, v)
	}
	status, ok := a[0].(string)
	if !ok {
		return reply{}, fmt.Errorf("%w: a script answered the status %v", ErrBadRecord, a[0])
	}
	return reply{status: status, fields: a[1:]}, nil
}

// text gives field i, "" when it is missing.
func (r reply) text(i int) string {
	if i >= len(r.fields) {
		return ""
	}
	s, _ := r.fields[i].(string)
	return s
}

// pinFields is how many fields of a pin a script answers: f s i t v c.
const pinFields = 6

func (r reply) pin(k Key) (Pin, error) { return decodePin(k, r.fields) }

func decodePin(k Key, f []any) (Pin, error) {
	if len(f) < pinFields {
		return Pin{}, fmt.Errorf("%w: pin with %d fields", ErrBadRecord, len(f))
	}
	var v [pinFields]string
	for i := range v {
		v[i], _ = f[i].(string)
	}
	p := Pin{Key: k, SID: v[2], Version: v[4]}
	if f[0] == nil && f[1] == nil && f[2] == nil && f[3] == nil {
		return p, nil
	}
	if err := checkFormat(v[0]); err != nil {
		return Pin{}, err
	}
	switch v[1] {
	case "o":
		p.State = Owned
	case "r":
		p.State = Released
	default:
		return Pin{}, fmt.Errorf("%w: pin with state %q", ErrBadRecord, v[1])
	}
	if err := ValidSID(p.SID); err != nil {
		return Pin{}, fmt.Errorf("%w: pin: %w", ErrBadRecord, err)
	}
	var err error
	if p.Token, err = ParseToken(v[3]); err != nil {
		return Pin{}, fmt.Errorf("%w: pin: %w", ErrBadRecord, err)
	}
	if v[5] != "0" {
		if p.Confirmed, err = ParseToken(v[5]); err != nil {
			return Pin{}, fmt.Errorf("%w: pin: confirmed: %w", ErrBadRecord, err)
		}
	}
	return p, nil
}

func checkFormat(f string) error {
	if f == format {
		return nil
	}
	if n, err := strconv.Atoi(f); err == nil && n > 1 {
		return fmt.Errorf("%w: format %d", ErrNewer, n)
	}
	return fmt.Errorf("%w: format %q", ErrBadRecord, f)
}

// decodeSession reads the alternating names and values of a session's record; ok is false when there are none.
func decodeSession(sid string, pairs []any) (s Session, ok bool, err error) {
	if len(pairs) == 0 {
		return Session{}, false, nil
	}
	m := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		m[name], _ = pairs[i+1].(string)
	}
	s, err = sessionOf(sid, m)
	return s, err == nil, err
}

func sessionOf(sid string, m map[string]string) (Session, error) {
	if err := checkFormat(m["f"]); err != nil {
		return Session{}, fmt.Errorf("session %s: %w", sid, err)
	}
	s := Session{
		ID: sid, Nonce: m["nonce"], Addr: m["addr"], Name: m["name"], App: m["app"], Version: m["version"],
		Preview: m["preview"], Classes: strings.Fields(m["classes"]), State: SessionState(m["state"]),
		Ready: m["ready"] == "1", Wanted: Wanted(m["wanted"]),
	}
	switch s.State {
	case Live, Draining, Closed, Dead:
	default:
		return Session{}, fmt.Errorf("session %s: %w: state %q", sid, ErrBadRecord, m["state"])
	}
	var err error
	number := func(name string) int64 {
		if m[name] == "" {
			return 0
		}
		n, e := strconv.ParseInt(m[name], 10, 64)
		if e != nil || n < 0 {
			err = fmt.Errorf("session %s: %w: %s is %q", sid, ErrBadRecord, name, m[name])
		}
		return n
	}
	s.Lease = time.Duration(number("lh")) * time.Millisecond
	s.Objects, s.InFlight = int(number("objects")), int(number("events"))
	if !s.State.Final() && err == nil && s.Lease <= 0 {
		err = fmt.Errorf("session %s: %w: no lease", sid, ErrBadRecord)
	}
	return s, err
}
