package skew

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/skewgate/skewgate/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const prefix = "{p0}:"

// onEveryStore runs a test against the embedded store's engine and a real Redis.
func onEveryStore(t *testing.T, test func(*testing.T, redis.UniversalClient)) {
	t.Run("embedded", func(t *testing.T) {
		s := miniredis.RunT(t)
		test(t, client(t, s.Addr()))
	})
	t.Run("redis", func(t *testing.T) { test(t, client(t, testenv.Redis(t))) })
}

func client(t *testing.T, addr string) redis.UniversalClient {
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func tallies(t *testing.T, rdb redis.UniversalClient, gateway string, maxRows int) *Tallies {
	t.Helper()
	tl, err := NewTallies(Options{Redis: rdb, Prefix: prefix, Gateway: gateway, MaxRows: maxRows, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

func flush(t *testing.T, ts ...*Tallies) {
	t.Helper()
	for _, tl := range ts {
		if err := tl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func ask(t *testing.T, rdb redis.UniversalClient, q Query, m Matrices) *Answer {
	t.Helper()
	if q.Since == 0 {
		q.Since = time.Hour
	}
	a, err := NewReader(rdb, prefix).Query(t.Context(), q, m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func call(caller, version, id, method, code string) Call {
	return Call{Class: "Cart", Caller: caller, App: "shop", ObjectVersion: version, Object: id, Method: method, Code: code, Latency: 3 * time.Millisecond}
}

func TestGatewaysAreMerged(t *testing.T) {
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient) {
		a, b := tallies(t, rdb, "gw-a", 0), tallies(t, rdb, "gw-b", 0)
		for i := range 300 {
			id := fmt.Sprint(i % 100)
			a.Add(call("web@v41", "v41", id, "/Get", ""))
			b.Add(call("web@v41", "v41", id, "/Get", "")) // the same objects through another gateway
		}
		b.Add(call("web@v41", "v41", "1", "/Put", "upstream_failed"))
		b.Add(call("web@v42", "v42", "2", "/Get", ""))
		flush(t, a, b)
		flush(t, a, b) // writing again changes nothing

		got := ask(t, rdb, Query{}, nil)
		if len(got.Lines) != 2 {
			t.Fatalf("lines: %+v", got.Lines)
		}
		l := got.Lines[0]
		if l.Caller != "web@v41" || l.Version != "v41" || l.Calls != 601 || l.Errors != 1 || l.Codes["upstream_failed"] != 1 || len(l.Methods) != 2 {
			t.Errorf("first line %+v", l)
		}
		if l.Objects < 97 || l.Objects > 103 {
			t.Errorf("%d distinct objects, want about 100", l.Objects)
		}
		if p := time.Duration(l.P99); p < 3*time.Millisecond || p > 4*time.Millisecond {
			t.Errorf("p99 %s", p)
		}
		if e := got.Evidence; e.Seen != 2 || e.Expected != 2 || !e.Complete() || e.Folded != 0 {
			t.Errorf("evidence %+v", e)
		}
		if e := ask(t, rdb, Query{Since: 90 * time.Minute}, nil).Evidence; e.At.Sub(e.From) != 90*time.Minute || e.Covers() {
			t.Errorf("90m were asked for, and the gateways have just started: %+v, covers %v", e, e.Covers())
		}
		if got.VersionsLive != 4 {
			t.Errorf("%d versions live, want web@v41, web@v42, shop@v41, shop@v42", got.VersionsLive)
		}
	})
}

func TestDeadGatewaysTalliesRemainAndItIsMissed(t *testing.T) {
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		dead, live := tallies(t, rdb, "gw-dead", 0), tallies(t, rdb, "gw-live", 0)
		dead.Add(call("web@v41", "v41", "1", "/Get", ""))
		flush(t, dead, live)
		// It fell silent a minute ago, without goodbye.
		k := keys{prefix}
		age := func(d time.Duration) {
			if err := rdb.HIncrBy(ctx, k.instance(dead.ins), "flushed", -d.Milliseconds()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		age(time.Minute)
		got := ask(t, rdb, Query{}, nil)
		if got.Evidence.Complete() || got.Evidence.Seen != 1 || got.Evidence.Expected != 2 || got.Evidence.Missing[0] != "gw-dead" {
			t.Errorf("evidence %+v", got.Evidence)
		}
		if len(got.Lines) != 1 || got.Lines[0].Calls != 1 {
			t.Errorf("lines %+v", got.Lines)
		}
		age(ForgetAfter)
		if got := ask(t, rdb, Query{}, nil); !got.Evidence.Complete() || got.Evidence.Expected != 1 {
			t.Errorf("forgotten: %+v", got.Evidence)
		}
	})
}

func TestGoodbyeIsNotMissed(t *testing.T) {
	onEveryStore(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx, cancel := context.WithCancel(t.Context())
		tl := tallies(t, rdb, "gw-a", 0)
		done := make(chan error)
		go func() { done <- tl.Run(ctx) }()
		tl.Add(call("web@v41", "v41", "1", "/Get", ""))
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		got := ask(t, rdb, Query{}, nil)
		if len(got.Lines) != 1 || got.Evidence.Expected != 0 || got.Evidence.Complete() {
			t.Errorf("%+v", got)
		}
		// A new run of the same gateway adds to what the first wrote.
		again := tallies(t, rdb, "gw-a", 0)
		again.Add(call("web@v41", "v41", "1", "/Get", ""))
		flush(t, again)
		if got := ask(t, rdb, Query{}, nil); got.Lines[0].Calls != 2 || got.Evidence.Expected != 1 || !got.Evidence.Complete() {
			t.Errorf("after a restart: %+v", got)
		}
	})
}

func TestStoreDownLosesNothing(t *testing.T) {
	s := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1})
	defer rdb.Close()
	tl := tallies(t, rdb, "gw-a", 0)
	tl.Add(call("web@v41", "v41", "1", "/Get", ""))
	flush(t, tl)
	s.SetError("LOADING")
	tl.Add(call("web@v41", "v41", "2", "/Get", ""))
	if err := tl.Flush(t.Context()); err == nil {
		t.Fatal("flush succeeded on a store that is down")
	}
	tl.mu.Lock()
	tl.turn(time.Now().Add(2 * time.Minute).Unix()) // the minute is full before the store is back
	tl.mu.Unlock()
	s.SetError("")
	flush(t, tl)
	if got := ask(t, rdb, Query{}, nil); got.Lines[0].Calls != 2 || got.Lines[0].Objects != 2 {
		t.Errorf("%+v", got.Lines)
	}
}

func TestCardinalityIsCapped(t *testing.T) {
	s := miniredis.RunT(t)
	rdb := client(t, s.Addr())
	tl := tallies(t, rdb, "gw-a", 20)
	tl.Add(call("web@v41", "v41", "1", "/Get", ""))
	tl.Add(call("web@v41", "v41", "1", "/Get", ""))
	tl.mu.Lock()
	tl.turn(time.Now().Add(time.Minute).Unix()) // the next minute, where a flood comes first
	tl.mu.Unlock()
	at := time.Now().Add(time.Minute)
	for i := range 1000 {
		c := call(fmt.Sprintf("evil@%d", i), "v41", "1", "/Get", "")
		c.At = at
		tl.Add(c)
	}
	c := call("web@v41", "v41", "1", "/Get", "")
	c.At = at
	tl.Add(c)
	tl.mu.Lock()
	defer tl.mu.Unlock()
	if n := len(tl.minute.rows); n > 21 {
		t.Errorf("%d rows in memory, the cap is 20 and other", n)
	}
	if r := tl.minute.rows[c.key()]; r == nil || r.Calls != 1 {
		t.Errorf("the real caller lost its place to the flood: %+v", r)
	}
	if tl.dropped < 900 {
		t.Errorf("%d calls counted as folded", tl.dropped)
	}
}

func TestFoldedCallsAreCountedAndSaid(t *testing.T) {
	s := miniredis.RunT(t)
	rdb := client(t, s.Addr())
	tl := tallies(t, rdb, "gw-a", 5)
	for i := range 50 {
		tl.Add(call(fmt.Sprintf("app@%d", i), "v41", "1", "/Get", ""))
	}
	flush(t, tl)
	got := ask(t, rdb, Query{}, nil)
	total := int64(0)
	for _, l := range got.Lines {
		total += l.Calls
	}
	if total != 50 || got.Evidence.Folded != 45 {
		t.Errorf("%d calls, %d folded; want 50, 45", total, got.Evidence.Folded)
	}
}

func TestCompatColumn(t *testing.T) {
	s := miniredis.RunT(t)
	rdb := client(t, s.Addr())
	m := &Matrix{Class: "Cart", App: "shop", Objects: []string{"v41", "v42"}, Callers: []string{"web@v41", "web@v42"},
		Incompatible: []Incompatible{{Class: "Cart", Caller: "web@v42", Object: "v41", Method: "/Apply", Rule: "METHOD_ADDED"}},
		State:        []StateCell{{Writer: "v42", Reader: "v41", Verdict: Fail, Rule: "FIELD_REMOVED"}}}
	if err := StoreMatrices(t.Context(), rdb, prefix, Matrices{m.Class: m}); err != nil {
		t.Fatal(err)
	}
	all, err := LoadMatrices(t.Context(), rdb, prefix)
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(calls ...Call) Verdict {
		t.Helper()
		rdb := client(t, miniredis.RunT(t).Addr())
		tl := tallies(t, rdb, "g", 0)
		for _, c := range calls {
			tl.Add(c)
		}
		flush(t, tl)
		return ask(t, rdb, Query{}, all).Lines[0].Compat
	}
	for want, c := range map[Verdict]Call{
		OK:            call("web@v41", "v42", "1", "/Get", ""),
		Fail:          call("web@v42", "v41", "1", "/Apply", ""),
		Partial:       call("web@v42", "v41", "1", "/Get", ""),
		NotKnown:      call("web@v43", "v41", "1", "/Get", ""),
		NotApplicable: call("web@v41", "", "1", "/Get", "no_host"),
	} {
		if got := verdict(c); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
	for pair, want := range map[[2]string]Verdict{{"v42", "v41"}: Fail, {"v41", "v42"}: NotKnown, {"v41", "v41"}: OK} {
		if got := all["Cart"].Reads(pair[0], pair[1]).Verdict; got != want {
			t.Errorf("state %v: %s, want %s", pair, got, want)
		}
	}
}

func TestStragglers(t *testing.T) {
	s := miniredis.RunT(t)
	rdb := client(t, s.Addr())
	tl := tallies(t, rdb, "gw-a", 0)
	for range 1000 {
		tl.Add(call("web@v41", "v41", "1", "/Get", ""))
	}
	tl.Add(call("web@v9", "v41", "1", "/Get", ""))  // older, hardly a call left
	tl.Add(call("web@v42", "v41", "1", "/Get", "")) // newer: not a straggler, however few
	old := call("batch@v40", "v41", "1", "/Get", "")
	old.At = time.Now().Add(-2 * time.Minute) // quiet
	tl.Add(old)
	flush(t, tl)
	got := ask(t, rdb, Query{}, nil)
	if fmt.Sprint(got.Stragglers) != "[batch@v40 web@v9]" {
		t.Errorf("stragglers %v", got.Stragglers)
	}
	if f := ask(t, rdb, Query{Caller: "web"}, nil); len(f.Lines) != 3 {
		t.Errorf("all versions of web: %+v", f.Lines)
	}
	if f := ask(t, rdb, Query{Caller: "web@v42"}, nil); len(f.Lines) != 1 {
		t.Errorf("one version of web: %+v", f.Lines)
	}
}

// Every instant of the window is in exactly one bucket that is read.
func TestBucketsCoverTheWindowOnce(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).Add(17*time.Minute + 3*time.Second)
	for _, since := range []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 90 * time.Minute, 24 * time.Hour, MaxSince} {
		spans := bucketsOf(now, since)
		if spans[0].start > now.Add(-since).Unix() {
			t.Errorf("%s: begins too late", since)
		}
		for i, s := range spans[1:] {
			if before := spans[i]; before.start+before.width != s.start {
				t.Errorf("%s: gap or overlap between %+v and %+v", since, before, s)
			}
		}
		if l := spans[len(spans)-1]; l.start+l.width <= now.Unix() {
			t.Errorf("%s: ends before now", since)
		}
		if m := spans[len(spans)-1]; m.width != 60 || len(spans) > 61+169 {
			t.Errorf("%s: %d spans, last %+v", since, len(spans), m)
		}
		for _, s := range spans {
			kept := MinutesKept
			if s.width == 3600 {
				kept = HoursKept
			}
			if now.Sub(time.Unix(s.start, 0)) > kept {
				t.Errorf("%s: reads %+v, which is not kept that long", since, s)
			}
		}
	}
}

func TestSketchCountsAndMerges(t *testing.T) {
	for _, n := range []int{0, 1, 12, 1000, 8112, 100_000} {
		var a, b sketch
		for i := range n {
			a.add(fmt.Sprintf("cart-%d", i))
			b.add(fmt.Sprintf("cart-%d", i+n/2)) // half of them the same
		}
		var back sketch
		if err := back.decode(a.encode()); err != nil || back.count() != a.count() {
			t.Errorf("n=%d: %v, %d after a round trip, %d before", n, err, back.count(), a.count())
		}
		a.merge(&b)
		want := float64(n + n/2)
		if got := float64(a.count()); math.Abs(got-want) > 0.08*want+0.5 {
			t.Errorf("n=%d: %v distinct, want %v", n, got, want)
		}
	}
}

func FuzzSketchDecode(f *testing.F) {
	f.Add([]byte("s\x00\x01\x05"))
	f.Add([]byte{'d'})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s sketch
		if s.decode(b) == nil && s.count() < 0 {
			t.Fatal("negative count")
		}
	})
}

func TestHistogramBuckets(t *testing.T) {
	for b := range 100 {
		if got := bucketOf(lower(b)); got != b {
			t.Errorf("lower bound of bucket %d falls into %d", b, got)
		}
		if got := bucketOf(lower(b+1) - time.Microsecond); got != b {
			t.Errorf("upper end of bucket %d falls into %d", b, got)
		}
	}
	h := Histogram{}
	for i := 1; i <= 1000; i++ {
		h[bucketOf(time.Duration(i)*time.Millisecond)]++
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := h.Quantile(q); got < want || got > want*120/100 {
			t.Errorf("q%v = %s, want %s to 19 %% above", q, got, want)
		}
	}
}

func TestVersionsAreOrderedLikePeopleDo(t *testing.T) {
	for _, p := range [][2]string{{"v9", "v10"}, {"v1.9.0", "v1.10.0"}, {"a", "b"}, {"v1", "v1.1"}, {"2026-01", "2026-02"}, {"", "v1"}, {"v09", "v10"}} {
		if CompareVersions(p[0], p[1]) >= 0 || CompareVersions(p[1], p[0]) <= 0 {
			t.Errorf("%s is not before %s", p[0], p[1])
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	rdb := redis.NewClient(&redis.Options{})
	b.Cleanup(func() { _ = rdb.Close() })
	tl, err := NewTallies(Options{Redis: rdb, Gateway: "g", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	c := call("web@v41", "v41", "8812", "/shop.v1.CartService/Get", "")
	c.At = time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tl.Add(c)
		}
	})
}
