package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skewgate/skewgate/forward"
	"github.com/skewgate/skewgate/gateway/routing"
	"github.com/skewgate/skewgate/owners"
	"github.com/skewgate/skewgate/wire"
)

// slowSessions is a store that takes its time to list the sessions.
type slowSessions struct{ Store }

func (slowSessions) Sessions(ctx context.Context) ([]owners.Session, error) {
	select {
	case <-time.After(4 * time.Second):
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// An attempt that has ended does not wait for the store to answer somebody else's question about sessions.
func TestEndedAttemptDoesNotWaitForAnothersQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{Store: slowSessions{}})
		first := g.watch(&Target{SID: "a"}, func(error) {})
		time.Sleep(time.Millisecond)
		second := g.watch(&Target{SID: "b"}, func(error) {})
		time.Sleep(doubtFirst + 500*time.Millisecond) // both ask: the second waits for the first
		began := time.Now()
		second.stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("the second attempt's end took %v", took)
		}
		first.stop()
		if err := g.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// refusing is a host that refuses once, late; then nobody reaches it.
type refusing struct{ asked int }

func (f *refusing) Close() {}

func (f *refusing) Do(_ context.Context, _ http.ResponseWriter, _ *http.Request, a forward.Attempt) forward.Result {
	if f.asked++; f.asked > 2 {
		a.Answer(http.StatusOK, http.Header{})
		return forward.Result{Stage: forward.Delivered}
	}
	time.Sleep(doubtFirst - time.Millisecond)
	a.Answer(http.StatusMisdirectedRequest, http.Header{wire.HeaderRefusal: {"reason=lease; token=1"}})
	return forward.Result{Stage: forward.Withheld}
}

// onePin is a store with one object, whose owner's session is over as soon as anybody lists sessions.
type onePin struct{ Store }

func (onePin) Pin(context.Context, owners.Key) (owners.Pin, owners.Session, bool, error) {
	return owners.Pin{State: owners.Owned, SID: "a", Token: 1}, owners.Session{ID: "a", Addr: "10.0.0.1:1", State: owners.Live}, true, nil
}

func (onePin) Sessions(context.Context) ([]owners.Session, error) {
	return []owners.Session{{ID: "a", State: owners.Dead}}, nil
}

// A refused request has not started: that its host's session ends while it is held does not end it.
func TestHeldRequestOutlivesTheHostThatRefusedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := &refusing{}
		g := New(Options{Store: onePin{}, Hosts: hosts})
		table, err := routing.NewTable(routing.Spec{Classes: []routing.Class{cartClass}, Apps: []routing.App{{Name: "shop"}}})
		if err != nil {
			t.Fatal(err)
		}
		g.SetTable(table)
		rec := httptest.NewRecorder()
		g.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/carts/1/x", nil))
		if rec.Code != http.StatusOK || hosts.asked != 3 {
			t.Errorf("answer %d after %d attempts: %s", rec.Code, hosts.asked, rec.Body)
		}
	})
}
