package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/internal/e2e/history"
	"github.com/skewgate/skewgate/internal/testenv"
	"github.com/skewgate/skewgate/owners"
)

// A socket of a list takes "append N" and "read", and answers each with said.
type said struct {
	By   string
	List []int
}

// talk serves one socket. Messages of sockets are not one at a time per object,
// so the list takes turns by itself.
func (l *list) talk(w http.ResponseWriter, r *http.Request, st values) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		_, msg, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		answer, err := l.hear(r.Context(), string(msg), st)
		if err != nil || conn.Write(r.Context(), websocket.MessageText, answer) != nil {
			return
		}
	}
}

func (l *list) hear(ctx context.Context, msg string, st values) ([]byte, error) {
	l.turn.Lock()
	defer l.turn.Unlock()
	now := l.now()
	if value, ok := strings.CutPrefix(msg, "append "); ok {
		v, err := strconv.Atoi(value)
		if err != nil {
			return nil, err
		}
		if now, err = l.append(ctx, st, v); err != nil {
			return nil, err
		}
	}
	return json.Marshal(said{l.name, now})
}

// converse is one client with a socket: it appends and reads over it for as long
// as it stands, and comes again when it has ended.
func (l *load) converse(ctx context.Context, client int, object string) {
	at := client
	for ctx.Err() == nil {
		gw := l.c.gateways[at%len(l.c.gateways)]
		conn, err := l.dialSocket(ctx, gw, object)
		if err != nil {
			if l.kind != socketsApart {
				at++
			}
			time.Sleep(50*time.Millisecond + rand.N(50*time.Millisecond))
			continue
		}
		for err == nil && ctx.Err() == nil {
			err = l.exchange(conn, client, object, gw)
			time.Sleep(20*time.Millisecond + rand.N(30*time.Millisecond))
		}
		if err != nil {
			l.mu.Lock()
			l.closes[websocket.CloseStatus(err)]++
			l.mu.Unlock()
		}
		conn.CloseNow()
	}
}

func (l *load) dialSocket(ctx context.Context, gw *gateway, object string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(gw.url, "http", "ws", 1)+"/lists/"+object+"/socket", &websocket.DialOptions{HTTPClient: l.upgrader})
	return conn, err
}

// exchange is one operation: a message that was sent and not answered may have
// been executed.
func (l *load) exchange(conn *websocket.Conn, client int, object string, gw *gateway) error {
	op := history.Op{Client: client, Object: object, Via: gw.Name + " by socket", Call: l.rec.Now()}
	msg := "read"
	if l.appends(client) {
		op.Value = l.rec.Value()
		msg = fmt.Sprintf("append %d", op.Value)
	}
	ctx, cancel := context.WithTimeout(context.Background(), recovery)
	defer cancel()
	err := conn.Write(ctx, websocket.MessageText, []byte(msg))
	var answer []byte
	if err == nil {
		_, answer, err = conn.Read(ctx)
	}
	if err != nil {
		l.rec.Add(op)
		return err
	}
	var s said
	if err := json.Unmarshal(answer, &s); err != nil {
		l.t.Errorf("answer of a socket: %q", answer)
		return err
	}
	op.Return, op.Outcome, op.List = l.rec.Now(), history.OK, s.List
	op.Via += "→" + s.By
	l.rec.Add(op)
	l.answered(op, s.By)
	return nil
}

// ends gives with which codes sockets have ended since the load began.
func (l *load) ends() map[websocket.StatusCode]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[websocket.StatusCode]int{}
	for code, n := range l.closes {
		out[code] = n
	}
	return out
}

// TestSockets hurts hosts and gateways that sockets are attached through.
// Whatever happens to a host, the client is told to come again (1012) and finds
// the next owner. Only a gateway's own death, or a frame that stops in the middle, ends a socket without a word.
func TestSockets(t *testing.T) {
	t.Parallel()
	c := startCluster(t, plan{addr: testenv.Redis(t, durable...), agents: 1})
	const agent = 2
	terminated := func(pick func(l *load) *objectHost) func(*cluster, *load) {
		return func(_ *cluster, l *load) {
			h := pick(l)
			h.Signal(syscall.SIGTERM)
			<-h.Ended()
			l.servedAgain("every object is served without " + h.Name)
			h.Start()
		}
	}
	theAgent := func(l *load) *objectHost { return l.involve(l.c.hosts[agent]) }
	for _, s := range []struct {
		name string
		run  func(c *cluster, l *load)
		mute bool // sockets may end without a close frame: the gateway is gone, or a frame was cut in the middle
	}{
		{"a host is terminated", terminated((*load).busiest), false},
		{"an agent is terminated", terminated(theAgent), false},
		{"a host is killed", func(_ *cluster, l *load) { killed(l, l.busiest().Process) }, true},
		{"an agent is killed", func(_ *cluster, l *load) { killed(l, theAgent(l).Process) }, true},
		{"a host stands still", func(c *cluster, l *load) { stopped(c, l, l.busiest().Process) }, true},
		{"an agent stands still", func(c *cluster, l *load) { stopped(c, l, theAgent(l).Process) }, true},
		{"a host cannot reach the store", func(c *cluster, l *load) {
			h := l.busiest()
			h.store.Cut(true)
			l.servedAgain("every object is served while " + h.Name + " cannot reach the store")
			c.beyond()
			l.goOn(30)
			h.store.Cut(false)
		}, false},
		{"every object is moved", moveAll, false},
		{"a gateway is killed", func(c *cluster, l *load) { killed(l, c.gateways[0].Process) }, true},
	} {
		t.Run(s.name, func(t *testing.T) {
			l := c.startLoad(t, sockets)
			l.goOn(60)
			s.run(c, l)
			l.servedAgain("every object is served in the end")
			l.goOn(60)
			l.clean()
			ends := l.ends()
			t.Logf("sockets ended with %v", ends)
			if len(ends) == 0 {
				t.Error("no socket met the fault")
			}
			for code, n := range ends {
				if code != websocket.StatusServiceRestart && !(s.mute && code == -1) {
					t.Errorf("%d sockets ended with %d", n, code)
				}
			}
		})
	}
}

// moveAll moves every object to another host while its sockets talk.
func moveAll(c *cluster, l *load) {
	api := c.api()
	for _, object := range l.names {
		eventually(l.t, object+" is moved", recovery, func() bool {
			_, err := api.MoveObject(l.t.Context(), owners.Key{Class: "List", ID: object}, admin.ObjectMove{Now: true})
			if err != nil {
				l.t.Logf("move %s: %v", object, err)
			}
			return err == nil
		})
	}
}
