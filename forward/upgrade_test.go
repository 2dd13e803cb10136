package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// wsEcho is an upstream that sends each message back.
func wsEcho(t testing.TB) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(-1)
		for {
			kind, msg, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, msg) != nil {
				return
			}
		}
	})
}

func dialWS(t testing.TB, p *proxy) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+p.addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(-1)
	return conn
}

func TestMessageHookCutsWith1012(t *testing.T) {
	p := newProxy(t, wsEcho(t))
	var n atomic.Int64
	p.change = func(a *Attempt) {
		a.Message = func() error {
			if n.Add(1) > 2 {
				return errors.New("object moved")
			}
			return nil
		}
	}
	conn := dialWS(t, p)
	for range 2 {
		if err := conn.Write(t.Context(), websocket.MessageBinary, make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		if _, b, err := conn.Read(t.Context()); err != nil || len(b) != 100_000 {
			t.Fatalf("%d %v", len(b), err)
		}
	}
	ping, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	_ = conn.Ping(ping) // nobody reads its answer; it must not count as a message
	_ = conn.Write(t.Context(), websocket.MessageText, []byte("third"))
	_, _, err := conn.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Fatalf("%v, want close 1012", err)
	}
	r := <-p.results
	if r.Stage != Delivered || !errors.Is(r.Err, errCut) || r.Received < 200_000 {
		t.Fatalf("%+v", r)
	}
	if n.Load() != 3 {
		t.Fatalf("the hook was asked %d times for 3 messages", n.Load())
	}
}

// handshake sends an upgrade and whatever extra at once.
func handshake(t testing.TB, addr, proto, extra string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n%s", proto, extra)
	return c, bufio.NewReader(c)
}

// What a client is told when the upstream ends the connection: a close frame of
// its own comes through as it is, a death between frames is 1012, and in the middle of
// a frame there is no place for one.
func TestUpstreamThatGoesAway(t *testing.T) {
	const (
		message = "\x81\x02hi"
		goodbye = "\x88\x02\x03\xe8" // 1000
	)
	for name, c := range map[string]struct {
		says, more string
		want       websocket.StatusCode
	}{
		"between two frames":       {message, "", websocket.StatusServiceRestart},
		"before any":               {"", "", websocket.StatusServiceRestart},
		"within a frame":           {message, "\x81\x7e\x01\x00half", -1},
		"within the head of one":   {message, "\x81", websocket.StatusServiceRestart},
		"with a word":              {message, goodbye, websocket.StatusNormalClosure},
		"answering the client's":   {message, "", -1},
		"with a word after frames": {message + message, goodbye, websocket.StatusNormalClosure},
	} {
		t.Run(name, func(t *testing.T) {
			up := raw(t, func(conn net.Conn, br *bufio.Reader) {
				if _, err := http.ReadRequest(br); err != nil {
					return
				}
				fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n%s", c.says)
				_, _ = br.ReadByte() // until the client has seen it
				fmt.Fprint(conn, c.more)
			})
			conn, br := handshake(t, newProxy(t, up).addr, "websocket", "")
			if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%v, %v", res, err)
			}
			said := make([]byte, len(c.says))
			if _, err := io.ReadFull(br, said); err != nil || string(said) != c.says {
				t.Fatalf("%q, %v", said, err)
			}
			if name == "answering the client's" { // it closes without a frame of its own
				_, _ = conn.Write([]byte("\x88\x82\x00\x00\x00\x00\x03\xe8"))
			} else {
				_, _ = conn.Write([]byte("\x81\x80\x00\x00\x00\x00"))
			}
			rest, _ := io.ReadAll(br)
			end := string(rest)
			switch {
			case c.want == -1 && strings.Contains(end, "\x88"):
				t.Errorf("a close frame in %q", end)
			case c.want == websocket.StatusServiceRestart && end != "\x88\x02\x03\xf4":
				t.Errorf("%q, want close 1012 and no more", end)
			case c.want == websocket.StatusNormalClosure && end != goodbye:
				t.Errorf("%q, want the upstream's own close and no more", end)
			}
		})
	}
}

func TestOtherProtocolsAndHalfClose(t *testing.T) {
	up := raw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nUpgrade: echo/1\r\n\r\nhello ")
		all, _ := io.ReadAll(br) // to the client's end
		fmt.Fprintf(c, "%s.", all)
	})
	p := newProxy(t, up)
	c, br := handshake(t, p.addr, "echo/1", "early ")
	res, err := http.ReadResponse(br, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "echo/1" || res.Header.Get("X-Hop") != "" {
		t.Fatalf("%v %v", res, err)
	}
	fmt.Fprint(c, "late")
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(br)
	if err != nil || string(got) != "hello early late." {
		t.Fatalf("%q %v", got, err)
	}
	if r := <-p.results; r.Sent != int64(len("early late")) {
		t.Fatalf("%+v", r)
	}
}

// What a client sends behind its upgrade must not reach an upstream that has
// not agreed to it: it would be read as a request of its own.
func TestNoClientByteBeforeThe101(t *testing.T) {
	more := make(chan string, 1)
	up := raw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		b, _ := io.ReadAll(br)
		more <- string(b)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
	})
	p := newProxy(t, up)
	_, br := handshake(t, p.addr, "websocket", "GET /smuggled HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(br, nil)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v %v", res, err)
	}
	if got := <-more; got != "" {
		t.Fatalf("the upstream got %q before it agreed", got)
	}
}

func TestWrongSwitchesAreRefused(t *testing.T) {
	for name, head := range map[string]string{
		"another protocol":      "Upgrade: other",
		"a wrong accept":        "Upgrade: websocket\r\nSec-WebSocket-Accept: AAAA",
		"no accept":             "Upgrade: websocket",
		"no protocol":           "X: y",
		"somebody else's nonce": "Upgrade: websocket\r\nSec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=",
	} {
		t.Run(name, func(t *testing.T) {
			up := raw(t, func(c net.Conn, br *bufio.Reader) {
				_, _ = http.ReadRequest(br)
				fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n%s\r\n\r\n", head)
			})
			p := newProxy(t, up)
			_, br := handshake(t, p.addr, "websocket", "")
			res, err := http.ReadResponse(br, nil)
			if err != nil || res.StatusCode != 599 {
				t.Fatalf("%v %v", res, err)
			}
			if r := <-p.results; r.Stage != Unknown {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func TestUpgradeToAnotherHTTPIsNotPassedOn(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q%q", r.Header["Upgrade"], r.Header["Connection"])
	})
	p := newProxy(t, up)
	for _, proto := range []string{"h2c", "HTTP/2.0", "websocket, h2c", "TLS/1.3"} {
		_, body := p.do("GET", "/", nil, "Connection", "Upgrade", "Upgrade", proto)
		if body != `[][]` {
			t.Errorf("%s: upstream saw %s", proto, body)
		}
	}
	_, body := p.do("POST", "/", strings.NewReader("body"), "Connection", "Upgrade", "Upgrade", "websocket")
	if body != `[][]` {
		t.Errorf("with a body: upstream saw %s", body)
	}
}

func TestSocketEndsWithItsContext(t *testing.T) {
	f := New(Options{})
	defer f.Close()
	up := wsEcho(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	results := make(chan Result, 1)
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) { results <- f.Do(ctx, w, r, Attempt{Addr: up}) })
	conn := dialWS(t, &proxy{t: t, addr: addr})
	why := errors.New("drain")
	cancel(why)
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Fatalf("%v, want close 1012", err)
	}
	if r := <-results; !errors.Is(r.Err, why) {
		t.Fatalf("%+v", r)
	}
}

func TestUpstreamSocketDies(t *testing.T) {
	up := raw(t, func(c net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	})
	p := newProxy(t, up)
	c, br := handshake(t, p.addr, "websocket", "")
	if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != 101 {
		t.Fatalf("%v %v", res, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if rest, err := io.ReadAll(br); err != nil || string(rest) != "\x88\x02\x03\xf4" {
		t.Fatalf("%q, %v; want close 1012 and the end", rest, err)
	}
	c.Close()
	<-p.results
}
