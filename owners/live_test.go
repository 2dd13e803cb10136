package owners

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// A meter counts what goes over the connections of a store.
type meter struct {
	net.Conn
	bytes *atomic.Int64
}

func (m meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.bytes.Add(int64(n))
	return n, err
}

func (m meter) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.bytes.Add(int64(n))
	return n, err
}

// Sessions that ended cost a watcher nothing, however many they are. The
// control is a store as the version before left it, with final sessions in the
// index: the first poll reads them all, and moves them out of the way.
func TestDeadSessionsCostAPollNothing(t *testing.T) {
	e, err := StartEmbedded("127.0.0.1:0", true) // over TCP: pipes do not take a pipeline of thousands
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx := t.Context()
	var bytes atomic.Int64
	s, err := Open(ctx, Options{URL: e.URL(), Timeout: 30 * time.Second, Clock: func() time.Duration { return time.Hour }, // nobody dies here
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return meter{c, &bytes}, err
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	host := func() string {
		sid := NewSID()
		if _, err := s.Register(ctx, Registration{SID: sid, Addr: "h:1", Name: "h", App: "a", Version: "v", Classes: []string{"C"}, Lease: lease}); err != nil {
			t.Fatal(err)
		}
		return sid
	}
	watcher := NewWatcher(s, "metered", nil)
	poll := func() int64 {
		t.Helper()
		before := bytes.Load()
		if err := watcher.step(ctx); err != nil {
			t.Fatal(err)
		}
		return bytes.Load() - before
	}
	live := host()
	poll()
	alone := poll()
	const ended = 5000
	var sids []string
	for i := range ended {
		sid := NewSID()
		if i%50 == 0 { // the others are written as closing writes them, which is faster
			sid = host()
			if err := s.CloseSession(ctx, sid); err != nil {
				t.Fatal(err)
			}
		} else {
			e.mini.HSet(sessionKey(sid), "f", format, "state", "closed", "addr", "h:1", "name", "h", "app", "a", "version", "v", "lh", "2000")
			if _, err := e.mini.ZAdd(keyEnded, float64(time.Now().UnixMilli()), sid); err != nil {
				t.Fatal(err)
			}
		}
		sids = append(sids, sid)
	}
	if among := poll(); among > alone+100 { // counters may take a digit more
		t.Errorf("a poll moves %d bytes among %d ended sessions, %d without them", among, ended, alone)
	}
	for _, sid := range sids {
		if _, err := e.mini.SAdd(keySessions, sid); err != nil {
			t.Fatal(err)
		}
	}
	if control := poll(); control < 100*ended {
		t.Errorf("control: a poll over an index with %d ended sessions moves only %d bytes", ended, control)
	}
	if after := poll(); after > alone+100 {
		t.Errorf("%d bytes after the index was put right", after)
	}
	all, err := s.Sessions(ctx)
	if err != nil || len(all) != ended+1 {
		t.Errorf("%d sessions, %v", len(all), err)
	}
	if now, err := s.LiveSessions(ctx); err != nil || len(now) != 1 || now[0].ID != live {
		t.Errorf("live sessions are %v, %v", now, err)
	}
}
