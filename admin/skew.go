package admin

import (
	"net/http"
	"time"

	"github.com/skewgate/skewgate/rollout/skew"
)

// Skew is the answer of GET /v1/skew.
type Skew struct{ *skew.Answer }

func (a *api) getSkew(r *http.Request) (any, error) {
	since, err := sinceOf(r, time.Hour)
	if err != nil {
		return nil, err
	}
	matrices, err := a.opt.Skew.Matrices(r.Context())
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	answer, err := a.opt.Skew.Query(r.Context(), skew.Query{Class: q.Get("class"), Caller: q.Get("caller"), App: q.Get("app"), Since: since}, matrices)
	if err != nil {
		return nil, err
	}
	if answer.Lines == nil {
		answer.Lines = []skew.Line{}
	}
	return Skew{answer}, nil
}
