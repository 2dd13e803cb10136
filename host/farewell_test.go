package host_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// A connection that a host takes for idle when it leaves is told so; what is
// written on it at that instant has a refusal for its answer, and does not run.
func TestLeavingHostTellsIdleConnections(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	h := m.Start("one", counting("one", nil))
	k := key("1")
	c := m.Owner(k)
	conn, err := net.Dial("tcp", h.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	br := bufio.NewReader(conn)
	send := func(method, path string) *http.Request {
		r := m.Request(t.Context(), k, c, method, path, http.NoBody)
		if err := r.Write(conn); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for range 2 { // the second shows that the connection is kept
		res, err := http.ReadResponse(br, send("POST", "/add"))
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %v", res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
	}
	m.Start("two", counting("two", nil))
	ended := make(chan error, 1)
	go func() { ended <- h.Stop() }()
	if _, err := br.Peek(1); err != nil {
		t.Fatalf("closed without a word: %v", err)
	}
	res, err := http.ReadResponse(br, send("POST", "/add")) // written before the word was read
	if err != nil || res.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("%v, %v; want 408", res, err)
	}
	if ref, err := wire.ParseRefusal(res.Header.Get(wire.HeaderRefusal)); err != nil || ref.Reason != wire.ReasonSession {
		t.Errorf("refusal %+v, %v; want session", ref, err)
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the word: %v, want the end", err)
	}
	conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	m.Forget(k)
	if a := m.Must(k, "GET", "/", "", 200); a.Body != "2" || a.Header.Get("Served-By") != "two" {
		t.Errorf("count %s at %s, want 2 at two: the last request may not have run", a.Body, a.Header.Get("Served-By"))
	}
}

// A request that is being read, or runs, is not taken for idleness: it is answered.
func TestLeavingHostAnswersWhatItHasBegunToRead(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	h := m.Start("one", counting("one", nil))
	c := m.Owner(key("1"))
	conn, err := net.Dial("tcp", h.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	var head strings.Builder
	r := m.Request(t.Context(), key("1"), c, "POST", "/add", http.NoBody)
	if err := r.Write(&head); err != nil {
		t.Fatal(err)
	}
	half := head.Len() / 2
	if _, err := io.WriteString(conn, head.String()[:half]); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Stop() }()
	m.Until("it drains", func() bool {
		s, _, err := m.Store.Session(t.Context(), c.SID)
		return err == nil && s.State.Final()
	})
	if _, err := io.WriteString(conn, head.String()[half:]); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, r)
	if err != nil || res.StatusCode != http.StatusMisdirectedRequest {
		t.Fatalf("%v, %v; want 421", res, err)
	}
	if !res.Close { // the session had ended, the server not yet begun to: the connection is idle again, and told
		if bye, err := http.ReadResponse(br, r); err != nil || bye.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%v, %v; want 408", bye, err)
		}
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the answer: %v, want the connection's end", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
