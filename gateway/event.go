package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// Event is the record of one finished request. Fields are empty where the
// request did not come so far.
type Event struct {
	Start    time.Time
	Duration time.Duration
	Head     time.Duration // until the host's response head came; 0 when none did. What follows may be a stream.
	Waited   time.Duration // of it, until the object had an owner that admitted the request

	Class         string
	Object        owners.Key
	Method        string // "/pkg.Service/Method", or the route's template: few values
	Caller        string // app@version; "" when unidentified
	App           string
	ObjectVersion string // of App; "" when no host was reached
	Host          string

	Status   int    // HTTP status the client saw; 0 when it went away before
	Code     string // "" for success; else a wire.Code, "http_5xx", "grpc_<n>", "canceled", "cut" or "moved"
	Refusals int    // of gates, for this request
	Resends  int
	Override string // what Skewgate-Override said
	Rule     string // of the matrix, where caller and object do not understand each other
	Move     *Move  // the change of owner that this request caused
	Upgrade  bool   // the connection switched protocols: a WebSocket
}

// Move is a change of an object's owner.
type Move struct {
	From, To       string // sessions; From is "" for an object nobody owned
	FromVer, ToVer string
	ToHost         string
	Token          int64
	Reason         string // new, idle, host-gone, rollout, upgrade-on-call
}

// Reasons of a Move.
const (
	moveNew     = "new"       // nobody ever owned it, or nobody remembers
	moveIdle    = "idle"      // it had been released
	moveGone    = "host-gone" // its owner's session is final
	moveRollout = "rollout"   // and its version changed with it
	moveUpgrade = "upgrade-on-call"
)

func moveOf(old, now owners.Pin, host string) *Move {
	m := &Move{From: old.SID, To: now.SID, FromVer: old.Version, ToVer: now.Version, ToHost: host, Token: now.Token}
	switch {
	case old.State == owners.None:
		m.Reason = moveNew
	case old.Version != now.Version:
		m.Reason = moveRollout
	case old.State == owners.Owned:
		m.Reason = moveGone
	default:
		m.Reason = moveIdle
	}
	return m
}

// describe fills in what the request's head said.
func (ev *Event) describe(req Request) {
	ev.Class, ev.App, ev.Caller = req.Class.Name, req.Class.App, req.Caller
	if ev.Method = req.Method; ev.Method == "" {
		ev.Method = req.Route
	}
}

// answered fills in what the host's response head said.
func (ev *Event) answered(status int, h http.Header) {
	ev.Status, ev.Head = status, time.Since(ev.Start)
	if status >= 500 {
		ev.Code = "http_" + strconv.Itoa(status)
	}
	ev.grpcStatus(h)
}

// grpcStatus takes a gRPC status from a header (trailers-only) or trailers.
func (ev *Event) grpcStatus(h http.Header) {
	if code := GRPCCode(h.Get("Grpc-Status"), h.Get("Grpc-Status-Details-Bin")); code != "" {
		ev.Code = code
	}
}

// GRPCCode is the Event.Code of a gRPC status, in decimal, and its details; ""
// when it is no failure. A stream that its host closed because the object
// moves did not fail.
func GRPCCode(status, detailsBin string) string {
	switch {
	case !GRPCFailed(status):
		return ""
	case wire.CodeOf(detailsBin) == wire.OwnerMoving:
		return CodeMoved
	}
	return "grpc_" + status
}

// GRPCFailed says whether a gRPC status, in decimal, is a failure of the
// object's: statuses that blame the caller are not.
func GRPCFailed(s string) bool {
	switch s {
	case "2", "4", "8", "12", "13", "14", "15": // UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS
		return true
	}
	return false
}

// failed fills in what the client is told instead of a host's answer.
func (ev *Event) failed(p *wire.Problem) {
	ev.Code, ev.Status = string(p.Code), p.Code.Row().HTTP
}

func (g *Gateway) begin() *Event { return &Event{Start: time.Now()} }

// end hands the record on.
func (g *Gateway) end(ev *Event) {
	ev.Duration = time.Since(ev.Start)
	g.deliver(ev)
}

func (g *Gateway) deliver(ev *Event) {
	g.metrics.request(ev)
	if g.opt.Recorder != nil {
		g.opt.Recorder.Record(ev)
	}
}

// versionOf gives the version of app@version; a bare version is one itself.
func versionOf(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] == '@' {
			return s[i+1:]
		}
	}
	return s
}
