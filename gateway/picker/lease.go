package picker

import (
	"sync"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/skewgate/skewgate/gateway"
	"github.com/skewgate/skewgate/owners"
)

// lease is one request that lives behind Envoy now.
type lease struct {
	key     owners.Key
	token   int64
	revoked chan struct{} // closed when the request must end
}

// leases are the requests that live, by object.
type leases struct {
	mu    sync.Mutex
	n     int
	byKey map[owners.Key]map[*lease]bool
}

// begin counts a request in, and revokes those that still run under an older
// token of the same object: their host is not its owner any more.
func (ls *leases) begin(pick gateway.Pick) *lease {
	l := &lease{key: pick.Key, revoked: make(chan struct{})}
	if pick.Target != nil {
		l.token = pick.Target.Token
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	set := ls.byKey[l.key]
	if set == nil {
		set = map[*lease]bool{}
		ls.byKey[l.key] = set
	}
	for old := range set {
		if old.token < l.token {
			ls.drop(old)
			close(old.revoked)
		}
	}
	if ls.byKey[l.key] == nil { // the last old one took the set with it
		ls.byKey[l.key] = set
	}
	set[l] = true
	ls.n++
	return l
}

// end counts a request out.
func (ls *leases) end(l *lease) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.drop(l)
}

// drop forgets a lease once; needs mu.
func (ls *leases) drop(l *lease) {
	set := ls.byKey[l.key]
	if !set[l] {
		return
	}
	delete(set, l)
	ls.n--
	if len(set) == 0 {
		delete(ls.byKey, l.key)
	}
}

// Live counts the requests that live behind Envoy now.
func (p *Picker) Live() int {
	p.leases.mu.Lock()
	defer p.leases.mu.Unlock()
	return p.leases.n
}

// Close lets go of all leases in the way that leaves the requests alone: Envoy
// carries them on. Call it before the server stops.
func (p *Picker) Close() { p.closeOnce.Do(func() { close(p.closing) }) }

// hold waits for the request's end, answers what Envoy still says of it, and
// cuts it when its lease is revoked.
func (p *Picker) hold(stream extprocv3.ExternalProcessor_ProcessServer, l *lease) error {
	end := make(chan error, 1)
	go func() { end <- answerRest(stream) }() // ends with the stream, that is at the latest when we return
	select {
	case err := <-end:
		return err
	case <-p.closing: // an OK end, which says nothing against the request
		return nil
	case <-l.revoked:
	}
	p.log.Info("request is cut: its object has another owner now", "object", l.key.String(), "token", l.token)
	err := stream.Send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
			Details: "skewgate_revoked",
		},
	}})
	if err != nil {
		return ended(err)
	}
	return <-end // Envoy ends the stream when it has read that
}

// answerRest answers trailers at once: Envoy holds them back until then.
func answerRest(stream extprocv3.ExternalProcessor_ProcessServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return ended(err)
		}
		r := &extprocv3.ProcessingResponse{}
		switch m.GetRequest().(type) {
		case *extprocv3.ProcessingRequest_ResponseTrailers:
			r.Response = &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}}
		case *extprocv3.ProcessingRequest_ResponseHeaders:
			r.Response = &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{}}
		case *extprocv3.ProcessingRequest_RequestTrailers:
			r.Response = &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}}
		default:
			continue // bodies are never asked for
		}
		if err := stream.Send(r); err != nil {
			return ended(err)
		}
	}
}
