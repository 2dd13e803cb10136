package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AuthWindow is how far a stamp's time may be from the gate's clock, either way.
const AuthWindow = 60 * time.Second

// authVersion leads every stamp, so that another form can be told apart later.
const authVersion = "v1"

// Errors of Verify.
var (
	ErrAuthMissing = errors.New("stamp is missing")
	ErrAuthFormat  = errors.New("stamp is malformed")
	ErrAuthTime    = errors.New("stamp is outside of its time window")
	ErrAuthMAC     = errors.New("stamp does not match")
)

// Signer stamps what a gateway sends to a gate and lets the gate check it
// (ownership.md §4: only gateways may speak to a gate). A stamp is
//
//	v1.<unix seconds>.<base64url HMAC-SHA-256>
//
// over object, session, token and time, each with its length before it, so
// that no two different tuples have the same input. It says who speaks, not
// what is said: method, path and body are not covered, and within AuthWindow a
// stamp may be replayed by whoever can read the link. Use mTLS where others can.
// A Signer is safe for concurrent use.
type Signer struct {
	macs sync.Pool // of *macState
}

// NewSigner makes a signer from the mesh's secret. An empty secret gives a
// signer that stamps and accepts only what was stamped with an empty secret.
func NewSigner(secret []byte) *Signer {
	key := append([]byte(nil), secret...)
	s := &Signer{}
	s.macs.New = func() any { return &macState{Hash: hmac.New(sha256.New, key)} }
	return s
}

// Sign gives the value of HeaderAuth. object is the wire form of the key, as in HeaderObject.
func (s *Signer) Sign(object, session string, token int64, now time.Time) string {
	t := now.Unix()
	var buf [96]byte
	out := append(buf[:0], authVersion...)
	out = append(out, '.')
	out = strconv.AppendInt(out, t, 10)
	out = append(out, '.')
	mac := s.mac(object, session, token, t)
	return string(base64.RawURLEncoding.AppendEncode(out, mac[:]))
}

// Verify says why header is not a stamp for these values at this time, or nil.
// It takes the same time wherever the MACs differ.
func (s *Signer) Verify(header, object, session string, token int64, now time.Time) error {
	if header == "" {
		return ErrAuthMissing
	}
	version, rest, ok := strings.Cut(header, ".")
	at, enc, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || version != authVersion {
		return ErrAuthFormat
	}
	t, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: time %q", ErrAuthFormat, at)
	}
	var got [sha256.Size]byte
	if len(enc) != base64.RawURLEncoding.EncodedLen(len(got)) {
		return ErrAuthFormat
	}
	if _, err := base64.RawURLEncoding.Decode(got[:], []byte(enc)); err != nil {
		return ErrAuthFormat
	}
	want := s.mac(object, session, token, t)
	if !hmac.Equal(got[:], want[:]) {
		return ErrAuthMAC
	}
	// After the MAC, so that only a holder of the secret learns of our clock.
	if w := int64(AuthWindow / time.Second); t < now.Unix()-w || t > now.Unix()+w {
		return ErrAuthTime
	}
	return nil
}

// macState is a keyed hash and its buffers; they would escape to the heap otherwise.
type macState struct {
	hash.Hash
	in, out []byte
}

func (s *Signer) mac(object, session string, token, t int64) (sum [sha256.Size]byte) {
	m := s.macs.Get().(*macState)
	m.Reset()
	in := append(m.in[:0], "skewgate/auth/"+authVersion...)
	in = appendField(in, object)
	in = appendField(in, session)
	in = binary.BigEndian.AppendUint64(in, uint64(token))
	in = binary.BigEndian.AppendUint64(in, uint64(t))
	m.in = in
	m.Write(in)
	m.out = m.Sum(m.out[:0])
	copy(sum[:], m.out)
	s.macs.Put(m)
	return sum
}

func appendField(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}
