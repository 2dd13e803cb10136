package host

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// PathActive is where a gate tells what is active here. The request is
// stamped like any other, with the session and an empty object and token 0.
const PathActive = "/_skewgate/active"

// Active is the answer at PathActive.
type Active struct {
	Session  string          `json:"session"`
	App      string          `json:"app"`
	Version  string          `json:"version"`
	Draining bool            `json:"draining"`
	LeaseMS  int64           `json:"leaseLeftMillis"`
	Fence    string          `json:"fence"` // redis, postgres or none
	Objects  []ActiveObject  `json:"objects"`
	Refusals []ActiveRefusal `json:"refusals"` // the last ones, latest first
}

// ActiveObject is one object that this host has in memory.
type ActiveObject struct {
	Object    string `json:"object"`
	Token     int64  `json:"token"`
	State     string `json:"state"` // activating, ready, confirming or releasing
	InFlight  int    `json:"inFlight"`
	Waiting   int    `json:"waiting"`
	Sockets   int    `json:"sockets"`
	IdleMS    int64  `json:"idleMillis"`
	Confirmed bool   `json:"confirmed"`
}

// ActiveRefusal is one request that the gate did not let in.
type ActiveRefusal struct {
	Object string    `json:"object"`
	Token  int64     `json:"token"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

func (h *Host) serveActive(w http.ResponseWriter, r *http.Request) {
	s := h.session()
	v, err := h.ofHeader(r.Header)
	switch {
	case err != nil:
	case h.signer != nil:
		err = h.signer.Verify(v.auth, "", v.session, 0, time.Now())
	case !trusted(h, r):
		err = errors.New("not stamped")
	}
	if err != nil || s == nil {
		h.refuse(w, r, &refusedError{wire.Refusal{Reason: wire.ReasonAuth}})
		return
	}
	if !methodIs(w, r, http.MethodGet) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.describe(r.URL.Query().Get("object"))) // the reader is gone
}

// methodIs answers 405 to any other method.
func methodIs(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method {
		return true
	}
	w.Header().Set("Allow", method)
	http.Error(w, r.URL.Path+" takes "+method+" only", http.StatusMethodNotAllowed)
	return false
}

// describe lists what is active; object, unless empty, is the only one of interest.
func (s *session) describe(object string) Active {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Active{
		Session: s.sid, App: s.h.opt.App, Version: s.h.opt.Version, Draining: s.draining, Fence: s.h.fenceName(),
		LeaseMS: max(0, (s.until - s.h.now()).Milliseconds()), Objects: []ActiveObject{}, Refusals: []ActiveRefusal{},
	}
	for k, o := range s.objects {
		if a := o.act; a != nil && (object == "" || object == k.String()) {
			out.Objects = append(out.Objects, ActiveObject{
				Object: k.String(), Token: a.token, State: s.stateOf(o), InFlight: a.all, Waiting: o.waiting,
				Sockets: len(a.attached), IdleMS: (s.h.now() - a.last).Milliseconds(), Confirmed: a.sure,
			})
		}
	}
	slices.SortFunc(out.Objects, func(a, b ActiveObject) int { return cmp.Compare(a.Object, b.Object) })
	for _, e := range s.refusals.latest() {
		if k := e.key.String(); object == "" || object == k {
			out.Refusals = append(out.Refusals, ActiveRefusal{Object: k, Token: e.token, Reason: e.reason, At: e.at})
		}
	}
	return out
}

func (s *session) stateOf(o *object) string {
	switch {
	case o.rel != nil:
		return "releasing"
	case o.act.ready:
		return "ready"
	case o.act.live:
		return "confirming"
	}
	return "activating"
}

func (h *Host) fenceName() string {
	switch {
	case h.storage == nil:
		return "none"
	case isPostgres(h.opt.Storage):
		return "postgres"
	}
	return "redis"
}

// serveRelease is RELEASE (ownership.md §4). Duplicates join; it answers when the release has ended.
func (h *Host) serveRelease(w http.ResponseWriter, r *http.Request) {
	st, err := h.readStamp(r)
	if err != nil {
		h.answer(w, r, err)
		return
	}
	if !methodIs(w, r, http.MethodPost) {
		return
	}
	req, err := wire.ReadReleaseRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s := h.session()
	if s == nil || st.sid != s.id() {
		h.refuse(w, r, &refusedError{wire.Refusal{Reason: wire.ReasonSession}})
		return
	}
	if req.To != "" && (owners.ValidSID(req.To) != nil || req.To == st.sid) {
		http.Error(w, "the object shall go to "+strconv.Quote(req.To)+", which is no other session", http.StatusBadRequest)
		return
	}
	if req.Deadline == 0 {
		req.Deadline = wire.Seconds(h.opt.Drain)
	}
	reply := s.release(r, st, req)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply) // the mover is gone; it asks again
}

// release runs one RELEASE and waits for its end, or for the mover to go away.
func (s *session) release(r *http.Request, st stamp, req wire.ReleaseRequest) wire.ReleaseReply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.valid() {
		return wire.ReleaseReply{Reason: wire.ReasonLease}
	}
	o := s.object(st.key)
	defer s.tidy(o)
	rel := s.askRelease(o, st.token, req.Mode, time.Duration(req.Deadline))
	if rel == nil {
		return s.notReleased(r, o, st)
	}
	if rel.token == st.token {
		rel.to = cmp.Or(rel.to, req.To)
	}
	s.mu.Unlock()
	select {
	case <-rel.done:
	case <-r.Context().Done():
	}
	s.mu.Lock()
	reply := wire.ReleaseReply{Token: s.known(o)}
	select {
	case <-rel.done:
	default:
		reply.Reason = wire.ReasonDeadline
		return reply
	}
	switch {
	case rel.end == releaseAborted:
		reply.Reason = wire.ReasonDeadline
	case rel.end == releaseLapsed:
		reply.Reason = wire.ReasonLease
	case rel.token != st.token:
		reply.Reason = wire.ReasonNotOwner
	default:
		reply.Released = true
	}
	return reply
}

// notReleased answers when there was nothing to release: a token that is over
// has been repaired, any other is not this session's. Needs mu.
func (s *session) notReleased(r *http.Request, o *object, st stamp) wire.ReleaseReply {
	sc := o.scripts[st.token]
	if !s.gone(o, st.token) {
		return wire.ReleaseReply{Reason: wire.ReasonNotOwner, Token: s.known(o)}
	}
	if sc != nil {
		s.mu.Unlock()
		select {
		case <-sc.done:
		case <-r.Context().Done():
		}
		s.mu.Lock()
	}
	return wire.ReleaseReply{Released: true, Token: s.known(o)}
}
