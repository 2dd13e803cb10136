package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Ways to release an object (ownership.md §4, rollout.md §2).
const (
	ReleaseWhenIdle = "when-idle" // let running and new events go on; release once idle
	ReleaseDrain    = "drain"     // hold new events back, let running ones end
	ReleaseNow      = "now"       // the same with a short deadline; sockets are closed
)

// maxReleaseBody bounds both bodies; a key has at most 512 bytes, three times that when encoded.
const maxReleaseBody = 16 << 10

// Seconds is a duration that is written as a Go duration string, "30s".
type Seconds time.Duration

// MarshalText writes the duration.
func (s Seconds) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads the duration.
func (s *Seconds) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = Seconds(d)
	return err
}

// ReleaseRequest asks a gate to give an object up. It is the JSON body of
// POST PathRelease; the request also carries HeaderObject, HeaderSession,
// HeaderToken and HeaderAuth like any other, and the gate believes those.
type ReleaseRequest struct {
	Object   string  `json:"object"` // wire form, Class/percent-encoded id
	Session  string  `json:"session"`
	Token    int64   `json:"token"`
	Mode     string  `json:"mode"`
	Deadline Seconds `json:"deadline"`         // from arrival; 0 means the host's own
	Reason   string  `json:"reason,omitempty"` // why it moves: rollout, drain, rebalance, upgrade-on-call
	To       string  `json:"to,omitempty"`     // session that shall own it next; "": whoever needs the object decides
}

// ReleaseReply is the gate's answer. Released false with a Reason means that
// the object stays: busy past the deadline, or not owned here any more.
type ReleaseReply struct {
	Released bool   `json:"released"`
	Token    int64  `json:"token"` // highest token the gate knows
	Reason   string `json:"reason,omitempty"`
}

// Reasons of a reply that releases nothing.
const (
	ReasonDeadline = "deadline" // events were still running; the object stays active
	ReasonNotOwner = "not-owner"
)

// ReleaseClient asks gates to release objects.
type ReleaseClient struct {
	Signer *Signer
	HTTP   *http.Client // nil means http.DefaultClient
	Scheme string       // "http" when empty
}

// RefusedError says that the gate refused the release request itself: it does
// not know the session, or does not trust who asks. Nothing was released.
type RefusedError struct{ Refusal Refusal }

// Error gives the refusal as the gate said it.
func (e *RefusedError) Error() string { return "gate refused the release: " + e.Refusal.String() }

// Release asks the gate at addr. It is safe to repeat: a gate joins duplicates.
func (c *ReleaseClient) Release(ctx context.Context, addr string, r ReleaseRequest) (ReleaseReply, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return ReleaseReply{}, fmt.Errorf("encode release of %s: %w", r.Object, err)
	}
	scheme := c.Scheme
	if scheme == "" {
		scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+addr+PathRelease, bytes.NewReader(body))
	if err != nil {
		return ReleaseReply{}, fmt.Errorf("release %s: %w", r.Object, err)
	}
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set(HeaderObject, r.Object)
	h.Set(HeaderSession, r.Session)
	h.Set(HeaderToken, strconv.FormatInt(r.Token, 10))
	h.Set(HeaderAuth, c.Signer.Sign(r.Object, r.Session, r.Token, time.Now()))
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return ReleaseReply{}, fmt.Errorf("release %s: %w", r.Object, err)
	}
	defer res.Body.Close()
	if v := res.Header.Get(HeaderRefusal); v != "" {
		refusal, err := ParseRefusal(v)
		if err == nil {
			err = &RefusedError{refusal}
		}
		return ReleaseReply{}, fmt.Errorf("release %s at %s: %w", r.Object, addr, err)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxReleaseBody))
	if err != nil {
		return ReleaseReply{}, fmt.Errorf("release %s: %w", r.Object, err)
	}
	if res.StatusCode != http.StatusOK {
		return ReleaseReply{}, fmt.Errorf("release %s at %s: status %d: %.200s", r.Object, addr, res.StatusCode, b)
	}
	var reply ReleaseReply
	if err := json.Unmarshal(b, &reply); err != nil {
		return ReleaseReply{}, fmt.Errorf("release %s at %s: %w", r.Object, addr, err)
	}
	return reply, nil
}

// ReadReleaseRequest decodes and checks the body of a release request. The
// caller has authenticated the request by its headers.
func ReadReleaseRequest(r *http.Request) (ReleaseRequest, error) {
	var req ReleaseRequest
	dec := json.NewDecoder(io.LimitReader(r.Body, maxReleaseBody))
	if err := dec.Decode(&req); err != nil {
		return req, fmt.Errorf("read release request: %w", err)
	}
	switch {
	case req.Object != r.Header.Get(HeaderObject) || strconv.FormatInt(req.Token, 10) != r.Header.Get(HeaderToken):
		return req, errors.New("read release request: object and token differ from the signed headers")
	case req.Mode != ReleaseWhenIdle && req.Mode != ReleaseDrain && req.Mode != ReleaseNow:
		return req, fmt.Errorf("read release request: mode %q; want when-idle, drain or now", req.Mode)
	case req.Deadline < 0:
		return req, errors.New("read release request: negative deadline")
	}
	return req, nil
}
