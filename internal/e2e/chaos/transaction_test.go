package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skewgate/skewgate/host/storage"
	"github.com/skewgate/skewgate/internal/e2e/history"
	"github.com/skewgate/skewgate/internal/testenv"
)

// inTransaction is a list's values for an append that writes more than the list, at once with it:
//
//	?beside=N&of=SIZE  N values of so many bytes: more than the buffers on the way to PostgreSQL hold, or less
//	?held              a value that the server keeps somebody waiting for, see holdWrites
//	?stop              nothing more, but the process stops itself between the transaction's read and its commit
type inTransaction struct {
	inHost
	beside, of int
	held, stop bool
}

const heldKey, inATransaction = "held", "stopped in a transaction"

// as is where a request's append goes.
func (s inHost) as(r *http.Request) values {
	q := r.URL.Query()
	n, _ := strconv.Atoi(q.Get("beside")) // none: 0
	of, _ := strconv.Atoi(q.Get("of"))
	if n == 0 && !q.Has("held") && !q.Has("stop") {
		return s
	}
	return inTransaction{s, n, of, q.Has("held"), q.Has("stop")}
}

func (s inTransaction) put(ctx context.Context, v []byte) error {
	return s.s.Txn(ctx, func(tx *storage.Txn) error {
		if s.stop {
			if _, err := tx.Get(ctx, listKey); err != nil {
				return err
			}
			fmt.Println(inATransaction)
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
			time.Sleep(5 * time.Millisecond) // the signal may take effect after the call
		}
		for i := range s.beside {
			if err := tx.Put(fmt.Sprintf("beside/%d", i), make([]byte, s.of)); err != nil {
				return err
			}
		}
		if s.held {
			if err := tx.Put(heldKey, v); err != nil {
				return err
			}
		}
		return tx.Put(listKey, v)
	})
}

// TestStandsStillInATransaction has a host's process stand still in the middle
// of a transaction of PostgreSQL, by SIGSTOP, while nothing else is wrong. Its
// objects are served by others and written on; when it goes on, its write is
// refused, or counted as what it was, and its answer is withheld.
func TestStandsStillInATransaction(t *testing.T) {
	t.Parallel()
	postgres := testenv.Postgres(t)
	c := startCluster(t, plan{addr: testenv.Redis(t, durable...), postgres: postgres.Addr, agents: 1, lease: 4 * time.Second})
	look, hold := connect(t, postgres.URL), connect(t, postgres.URL)
	for _, s := range []struct {
		name  string
		query string
		// stopIt stops a host at the right moment, once f's append has come so far.
		stopIt  func(l *load, f *frozen) bool
		happens bool // the write was the server's already, and is in the list in the end
	}{
		{"between the transaction's read and its commit", "&stop", func(l *load, f *frozen) bool {
			return f.comes(func() bool {
				for _, h := range c.hosts {
					if strings.Count(h.Output(), inATransaction) > f.stops[h] {
						f.h = h
						return true
					}
				}
				return false
			})
		}, false},
		{"in the middle of a message", "&beside=400&of=131072", func(l *load, f *frozen) bool {
			f.h.values.StallAfter(testenv.Requests, 1<<20)
			begun := f.comes(func() bool { return waitingFor(t, look, "ClientRead") > 0 })
			f.h.Pause()
			f.h.values.StallAfter(testenv.Requests, 0)
			f.h.values.Stall(testenv.Requests, false) // the link is well: it is the process that sends no more
			return begun && stays(func() bool { return waitingFor(t, look, "ClientRead") > 0 })
		}, false},
		{"while the server runs it", "&held", func(l *load, f *frozen) bool {
			runs := f.comes(func() bool { return waitingFor(t, look, "advisory") > 0 })
			f.h.Pause()
			execute(t, hold, "SELECT pg_advisory_unlock(42)")
			eventually(l.t, "the server has done it", recovery, func() bool { return waitingFor(t, look, "advisory") == 0 })
			return runs && stored(t, look, f.object, f.value)
		}, true},
	} {
		t.Run(s.name, func(t *testing.T) {
			l := c.startLoad(t, mixed)
			l.goOn(60)
			f := stopInAppend(l, s.query, func(f *frozen) bool {
				return s.stopIt(l, f)
			}, func() { holdWrites(t, hold) })
			c.beyond()
			l.servedAgain("every object is served while " + f.h.Name + " stands still")
			l.goOn(100)
			f.h.Resume()
			eventually(t, f.h.Name+" withholds its answer", recovery, func() bool { return withheld(f.h, f.object) > f.withheld[f.h] })
			l.servedAgain("every object is served in the end")
			l.goOn(60)
			l.clean()
			if is := slices.Contains(l.last(f.object), f.value); is != s.happens {
				t.Errorf("value %d of the frozen transaction is in the list: %v, want %v", f.value, is, s.happens)
			}
		})
	}
}

// frozen is an append in the middle of which its host was stopped.
type frozen struct {
	h      *objectHost
	object string
	value  int
	ended  <-chan struct{} // the client has an answer

	stops, withheld map[*objectHost]int // before it: how often hosts had stopped themselves, and withheld an answer of the object
}

// stopInAppend begins an append at a host by library until stopIt has stopped it in the middle.
func stopInAppend(l *load, query string, stopIt func(*frozen) bool, prepare func()) *frozen {
	l.t.Helper()
	for range 20 {
		prepare()
		f := &frozen{h: l.involve(l.busiest()), value: l.rec.Value(), stops: map[*objectHost]int{}, withheld: map[*objectHost]int{}}
		f.object = l.of(f.h)
		for _, h := range l.c.hosts {
			f.stops[h], f.withheld[h] = strings.Count(h.Output(), inATransaction), withheld(h, f.object)
		}
		f.ended = l.appendSlowly(f.object, f.value, query)
		if stopIt(f) && stays(f.open) {
			return f
		}
		l.t.Logf("%s was not stopped in the middle: once more", f.h.Name)
		f.h.Resume()
		<-f.ended
	}
	l.t.Fatal("it was never stopped in the middle")
	return nil
}

// open says that the client still waits.
func (f *frozen) open() bool {
	select {
	case <-f.ended:
		return false
	default:
		return true
	}
}

// comes waits until something is so, at most until the client has its answer.
func (f *frozen) comes(so func() bool) bool {
	for f.open() {
		if so() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// of gives an object that h serves.
func (l *load) of(h *objectHost) (object string) {
	l.t.Helper()
	eventually(l.t, h.Name+" serves an object", recovery, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for name, by := range l.owner {
			if by == h.Name {
				object = name
			}
		}
		return object != ""
	})
	return object
}

// appendSlowly appends with more patience than other clients have.
func (l *load) appendSlowly(object string, value int, query string) (ended <-chan struct{}) {
	done, gw := make(chan struct{}), l.c.gateways[0]
	op := history.Op{Client: 100 + value, Object: object, Value: value, Via: gw.Name + " slowly", Call: l.rec.Now()}
	l.wg.Go(func() {
		defer close(done)
		defer func() { l.rec.Add(op) }()
		client := http.Client{Transport: l.client.Transport, Timeout: recovery}
		resp, err := client.Post(fmt.Sprintf("%s/lists/%s/append?v=%d%s", gw.url, object, value, query), "", http.NoBody)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		op.Return, op.Outcome = l.rec.Now(), l.outcome(resp.StatusCode, body, &op.List)
		l.t.Logf("the slow append of %d: %d %.200s", value, resp.StatusCode, body)
	})
	return done
}

// last is what the last reading of an object found.
func (l *load) last(object string) (list []int) {
	var at time.Duration
	for _, op := range l.rec.Ops() {
		if op.Object == object && op.Outcome == history.OK && op.Return >= at {
			at, list = op.Return, op.List
		}
	}
	return list
}

// withheld counts the answers of an object that a host says it has withheld.
func withheld(h *objectHost, object string) (n int) {
	for line := range strings.Lines(h.Output()) {
		if strings.Contains(line, "answer withheld") && strings.Contains(line, "object=List/"+object) {
			n++
		}
	}
	return n
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// holdWrites makes the server keep whoever writes a value under heldKey waiting, until conn gives lock 42 back.
func holdWrites(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	execute(t, conn, `
CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.key = '`+heldKey+`' THEN PERFORM pg_advisory_xact_lock(42); END IF;
	RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER hold BEFORE INSERT ON skewgate_values FOR EACH ROW EXECUTE FUNCTION hold();
SELECT pg_advisory_unlock_all(), pg_advisory_lock(42)`)
}

// waitingFor counts hosts' backends that are in a transaction and wait for event.
func waitingFor(t *testing.T, conn *pgx.Conn, event string) (n int) {
	t.Helper()
	const q = `SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'skewgate' AND wait_event = $1 AND state <> 'idle' AND backend_xid IS NOT NULL`
	if err := conn.QueryRow(t.Context(), q, event).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// stored says whether an object's list has a value.
func stored(t *testing.T, conn *pgx.Conn, object string, value int) bool {
	t.Helper()
	var v []byte
	err := conn.QueryRow(t.Context(), `SELECT value FROM skewgate_values WHERE object = $1 AND key = $2`, "List/"+object, []byte(listKey)).Scan(&v)
	if errors.Is(err, pgx.ErrNoRows) {
		return false
	}
	var list []int
	if err != nil || json.Unmarshal(v, &list) != nil {
		t.Fatalf("list of %s: %v %s", object, err, v)
	}
	return slices.Contains(list, value)
}

// stays says whether something is so for a while.
func stays(so func() bool) bool {
	for range 10 {
		if !so() {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// TestLateWriteOfAFrozenHost has a host stand still whose write is on its way: it arrives once
// another host has claimed the object and written on. The fence refuses it. Without the fence it
// overwrites what was acknowledged since.
func TestLateWriteOfAFrozenHost(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		name, broken string
		want         func(history.Report) bool
	}{
		{"nothing is broken", "", history.Report.Clean},
		{"no fence", "fence", func(r history.Report) bool { return len(r.Lost) > 0 }},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if r := lateWrite(t, s.broken); !s.want(r) {
				t.Errorf("not what was to be seen: %v", r)
			} else {
				t.Log(r)
			}
		})
	}
}

func lateWrite(t *testing.T, broken string) history.Report {
	postgres := testenv.Postgres(t)
	c := startCluster(t, plan{addr: testenv.Redis(t, durable...), postgres: postgres.Addr, broken: broken})
	look := connect(t, postgres.URL)
	l := c.startLoad(t, mixed)
	l.goOn(120)
	l.involve(l.busiest())
	l.stop() // so that what is late is not hidden by a later write
	f := stopInAppend(l, "&beside=1&of=20000", func(f *frozen) bool {
		f.h.values.Stall(testenv.Requests, true)
		sent := f.comes(func() bool { return f.h.values.Waiting(testenv.Requests) > 20000 })
		f.h.Pause()
		if !sent {
			f.h.values.Stall(testenv.Requests, false)
		}
		return sent
	}, func() {})
	c.beyond()
	for i := range 20 {
		l.appended(f.object, 1000+i)
	}
	newest := l.last(f.object)
	f.h.values.Stall(testenv.Requests, false)
	if broken == "" {
		f.h.Resume()
		l.appended(f.object, 2000)
	} else {
		eventually(t, "the late write has come", recovery, func() bool { return !stored(t, look, f.object, newest[len(newest)-1]) })
	}
	r := l.judge()
	f.h.Resume()
	return r
}

// appended appends until it is told that it did.
func (l *load) appended(object string, client int) {
	l.t.Helper()
	eventually(l.t, "a value is appended to "+object, recovery, func() bool {
		op, _ := l.do(client, object, l.rec.Value(), l.c.gateways[client%len(l.c.gateways)])
		l.rec.Add(op)
		return op.Outcome == history.OK
	})
}
