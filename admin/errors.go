package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/rollout"
	"github.com/skewgate/skewgate/rollout/skew"
)

// typeBase is where the kinds of problem are described.
const typeBase = "https://github.com/skewgate/skewgate/blob/main/docs/errors.md#"

// Error is what the API answers when it does not do what it was asked, and
// what the client returns then.
type Error struct {
	Status  int              `json:"status"`
	Code    string           `json:"code"`
	Title   string           `json:"title"`
	Detail  string           `json:"detail"`
	Next    string           `json:"next,omitempty"`    // what to type
	Reasons []rollout.Reason `json:"reasons,omitempty"` // of a refusal
	Unknown bool             `json:"unknown,omitempty"` // not a no: too little is known
}

// Error gives the detail, each reason on a line, and what to type next.
func (e *Error) Error() string {
	if len(e.Reasons) > 0 {
		return (&rollout.Refusal{Reasons: e.Reasons}).Error()
	}
	s := e.Detail
	if s == "" {
		s = e.Title
	}
	if e.Next != "" {
		s += "\n    → " + e.Next
	}
	return s
}

// Refused says that the answer is no (or, with Unknown, that it cannot be given),
// rather than that something went wrong.
func (e *Error) Refused() bool { return len(e.Reasons) > 0 }

func badRequest(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Code: "bad_request", Detail: fmt.Sprintf(format, args...)}
}

func missing(next, format string, args ...any) error {
	return &Error{Status: http.StatusNotFound, Code: "not_found", Detail: fmt.Sprintf(format, args...), Next: next}
}

// noClass says that a name is none of the mesh's, and which ones are.
func noClass(known map[string]routing.Class, name string) error {
	return missing("skewgate versions list", "the mesh has no class %q; it has %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

// problemOf gives an error its status and code; this is the one place that does.
func problemOf(err error) *Error {
	var own *Error
	var refusal *rollout.Refusal
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &refusal):
		return &Error{Status: http.StatusConflict, Code: refusal.Reasons[0].Code, Detail: refusal.Error(), Reasons: refusal.Reasons, Unknown: refusal.Unknown()}
	case errors.As(err, &tooBig):
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Detail: err.Error()}
	case errors.Is(err, rollout.ErrSpec), errors.Is(err, owners.ErrBadKey), errors.Is(err, skew.ErrQuery):
		return &Error{Status: http.StatusBadRequest, Code: "bad_request", Detail: err.Error()}
	case errors.Is(err, rollout.ErrNoRecord):
		return &Error{Status: http.StatusNotFound, Code: "not_found", Detail: err.Error(), Next: "skewgate rollout start APP --to VERSION"}
	case errors.Is(err, rollout.ErrConflict):
		return &Error{Status: http.StatusConflict, Code: "conflict", Detail: err.Error(), Next: "look again, then repeat"}
	case errors.Is(err, owners.ErrNewer), errors.Is(err, owners.ErrBadRecord), strings.Contains(err.Error(), "NOPERM"): // doctor does not see these
		return &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: err.Error(), Next: owners.Fix(err)}
	}
	return &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: err.Error(), Next: "skewgate doctor"}
}

func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= 500 {
		a.opt.Logger.Warn("admin request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, e *Error) {
	if e.Title == "" {
		e.Title = http.StatusText(e.Status)
	}
	body, err := json.Marshal(struct {
		Type string `json:"type"`
		*Error
	}{typeBase + e.Code, e})
	if err != nil {
		http.Error(w, e.Detail, e.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(body, '\n')) // the reader may be gone
}
