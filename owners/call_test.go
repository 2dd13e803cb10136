package owners

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testenv"
)

// Acquires that meet are one execution of the script, and each gets the answer
// that it gets when it comes alone.
func TestAcquiresThatMeetAreAnsweredAsIfAlone(t *testing.T) {
	t.Parallel()
	for name, url := range meetStores {
		for how, commands := range map[string]func([]*call) []*command{"together": together, "alone": alone} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				m := newMeeting(t, url(t))
				m.pin("released", "r", m.closed, 7)
				m.pin("released anew", "r", m.closed, 8)
				m.pin("of a closed session", "o", m.closed, 7)
				m.pin("of a live session", "o", m.live, 7)
				m.pin("confirmed", "r", m.live, 9, "c", 9)
				m.pin("newer", "r", m.closed, 7, "f", 2)
				for _, a := range []struct {
					id, want string
					expect   int64 // token of m.closed, or m.live where it says so
					of       string
					sid      string
					floor    int64
				}{
					{id: "absent", want: "won", sid: m.live},
					{id: "absent", want: "lost", sid: m.live}, // the one before has it
					{id: "released", want: "won", expect: 7, of: m.closed, sid: m.live},
					{id: "absent too", want: "won", sid: m.other, floor: 1 << 51},
					{id: "released anew", want: "lost", expect: 7, of: m.closed, sid: m.live},
					{id: "of a closed session", want: "won", expect: 7, of: m.closed, sid: m.other},
					{id: "gone", want: "lost", expect: 7, of: m.closed, sid: m.live},
					{id: "of a live session", want: "lost", expect: 7, of: m.live, sid: m.live},
					{id: "for a cordoned session", want: "target", sid: m.cordoned},
					{id: "newer", want: "format", expect: 7, of: m.closed, sid: m.live},
					{id: "confirmed", want: "won", expect: 9, of: m.live, sid: m.other, floor: 1 << 53},
					{id: "last", want: "won", sid: m.live, floor: 5},
				} {
					m.ask(a.want, Acquire{Key: Key{Class: "Cart", ID: a.id}, Expect: expected(a.of, a.expect), SID: a.sid, Floor: a.floor})
				}
				all := commands(m.calls)
				if want := map[string]int{"together": 3, "alone": len(m.calls)}[how]; len(all) != want {
					t.Errorf("%d calls are %d commands, want %d", len(m.calls), len(all), want)
				}
				m.s.calls.pipeline(t.Context(), false, all)
				for _, c := range m.calls { // the server has never seen the script
					if !c.forgotten() {
						t.Fatalf("a new server answered %v, %v", c.v, c.err)
					}
				}
				m.s.calls.again(t.Context(), m.calls)
				m.check()
			})
		}
	}
}

// A record that makes the script fail fails nobody but its own call. Before
// the second try it does: that is the control.
func TestARecordThatFailsTheScriptFailsItsOwnCall(t *testing.T) {
	t.Parallel()
	for name, url := range meetStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMeeting(t, url(t))
			if err := m.s.rdb.Set(t.Context(), "{p0}:pin:Cart/broken", "x", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := m.s.Acquire(t.Context(), Acquire{Key: Key{Class: "Cart", ID: "before"}, SID: m.live}); err != nil {
				t.Fatal(err) // and the server has the script
			}
			m.ask("lost", Acquire{Key: Key{Class: "Cart", ID: "1"}, SID: m.live}) // it has it, from the first try
			m.ask("", Acquire{Key: Key{Class: "Cart", ID: "broken"}, SID: m.live})
			m.ask("won", Acquire{Key: Key{Class: "Cart", ID: "2"}, SID: m.live})
			m.s.calls.pipeline(t.Context(), false, together(m.calls))
			for _, c := range m.calls {
				if !c.failedForAll() {
					t.Fatalf("control: answered %v, %v", c.v, c.err)
				}
			}
			m.s.calls.again(t.Context(), m.calls)
			if m.calls[1].err == nil || m.calls[1].shared {
				t.Errorf("the broken record was answered %v, %v", m.calls[1].v, m.calls[1].err)
			}
			m.calls[1].v, m.calls[1].err = nil, nil
			m.check()
			if pin, won, err := m.asked[0].answered(m.reply(0)); err != nil || won || pin.SID != m.live || pin.State != Owned {
				t.Errorf("%+v %v %v", pin, won, err)
			}
		})
	}
}

// What is not one answer for each call is nobody's answer.
func TestAnAnswerForOthersIsRefused(t *testing.T) {
	t.Parallel()
	all, err := loadScripts()
	if err != nil {
		t.Fatal(err)
	}
	one := []any{"won", "7", "v1", "0"}
	for name, c := range map[string]struct {
		v  any
		ok bool
	}{
		"one each": {[]any{one, one}, true}, "too few": {[]any{one}, false}, "too many": {[]any{one, one, one}, false},
		"no list": {"won", false}, "nothing": {nil, false},
	} {
		two := command{calls: []*call{{script: all.acquire}, {script: all.acquire}}}
		two.answer(c.v, nil, nil)
		for _, call := range two.calls {
			if ok := call.err == nil; ok != c.ok || !ok && !errors.Is(call.err, ErrBadRecord) {
				t.Errorf("%s: %v, %v", name, call.v, call.err)
			}
		}
	}
}

var meetStores = map[string]func(*testing.T) string{
	"embedded": func(t *testing.T) string {
		e, err := StartEmbedded("127.0.0.1:"+strconv.Itoa(testenv.Port(t)), true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		return e.URL()
	},
	"redis": func(t *testing.T) string { return "redis://" + testenv.Redis(t) },
}

// A meeting is a store with some sessions and the calls that meet there.
type meeting struct {
	t                             *testing.T
	s                             *Store
	live, other, cordoned, closed string
	calls                         []*call
	asked                         []Acquire
	want                          []string
}

func newMeeting(t *testing.T, url string) *meeting {
	t.Helper()
	s, err := Open(t.Context(), Options{URL: url, Timeout: 30 * time.Second}) // on a slow machine nothing is sent twice
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	m := &meeting{t: t, s: s}
	m.must(s.Init(t.Context()))
	for _, sid := range []*string{&m.live, &m.other, &m.cordoned, &m.closed} {
		*sid = NewSID()
		_, err := s.Register(t.Context(), registrationOf(*sid))
		m.must(err)
	}
	m.must(s.Want(t.Context(), m.cordoned, WantedCordon))
	m.must(s.CloseSession(t.Context(), m.closed))
	return m
}

func (m *meeting) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *meeting) pin(id, state, sid string, token int64, more ...any) {
	m.t.Helper()
	fields := append([]any{"f", 1, "s", state, "i", sid, "t", token, "v", "v0", "c", 0}, more...)
	m.must(m.s.rdb.HSet(m.t.Context(), pinKey(Key{Class: "Cart", ID: id}), fields...).Err())
}

func expected(sid string, token int64) Pin {
	if sid == "" {
		return Pin{}
	}
	return Pin{State: Released, SID: sid, Token: token}
}

func (m *meeting) ask(want string, a Acquire) {
	m.t.Helper()
	m.must(a.valid())
	keys, args := a.asked()
	m.calls = append(m.calls, &call{script: m.s.scripts.acquire, keys: keys, args: args})
	m.asked, m.want = append(m.asked, a), append(m.want, want)
}

func (m *meeting) reply(i int) reply {
	m.t.Helper()
	r, err := decodeReply(m.calls[i].v)
	m.must(err)
	return r
}

// check holds the answers against what was expected and against the records that stand.
func (m *meeting) check() {
	m.t.Helper()
	for i, a := range m.asked {
		if m.want[i] == "" {
			continue
		}
		if m.calls[i].err != nil {
			m.t.Errorf("call %d, %s: %v", i, a.Key, m.calls[i].err)
			continue
		}
		r := m.reply(i)
		if r.status != m.want[i] {
			m.t.Errorf("call %d, %s: %s, want %s", i, a.Key, r.status, m.want[i])
		}
		if m.want[i] == "format" {
			continue
		}
		pin, won, err := a.answered(r)
		m.must(err)
		stands, _, _, err := m.s.Pin(m.t.Context(), a.Key)
		m.must(err)
		if pin != stands {
			m.t.Errorf("call %d, %s: answered %+v, it is %+v", i, a.Key, pin, stands)
		}
		floor := max(a.Expect.Token, a.Floor)
		if a.Floor > MaxFloor {
			floor = a.Expect.Token
		}
		if won && (pin.State != Owned || pin.SID != a.SID || pin.Version != "v1" || pin.Token <= floor || pin.Token > 1<<52) {
			m.t.Errorf("call %d, %s: won %+v by %+v", i, a.Key, pin, a)
		}
	}
}
