package forward

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/skewgate/skewgate/internal/testenv"
)

// proxy is a server that makes one attempt at upstream for each request.
type proxy struct {
	t        testing.TB
	addr     string
	upstream string
	change   func(*Attempt)
	results  chan Result
	client   *http.Client
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testenv.Port(t)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: h, Protocols: p}
	l := listen(t)
	done := make(chan struct{})
	go func() { _ = srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return l.Addr().String()
}

func newProxy(t testing.TB, upstream string) *proxy {
	t.Helper()
	f := New(Options{})
	p := &proxy{t: t, upstream: upstream, results: make(chan Result, 100)}
	p.addr = serve(t, func(w http.ResponseWriter, r *http.Request) {
		a := Attempt{Addr: p.upstream}
		if p.change != nil {
			p.change(&a)
		}
		res := f.Do(r.Context(), w, r, a)
		p.results <- res
		switch {
		case res.Stage != Delivered:
			http.Error(w, res.Stage.String(), 599)
		case res.Err != nil && res.Status != http.StatusSwitchingProtocols:
			panic(http.ErrAbortHandler)
		}
	})
	tr := &http.Transport{DisableCompression: true}
	p.client = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() { tr.CloseIdleConnections(); f.Close() })
	return p
}

// h2 makes the client speak HTTP/2 to the proxy.
func (p *proxy) h2() *proxy {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	p.client = &http.Client{Transport: tr}
	p.t.Cleanup(tr.CloseIdleConnections)
	return p
}

func (p *proxy) do(method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.addr+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res, string(b)
}

// raw answers each connection with a function of the test's.
func raw(t testing.TB, f func(c net.Conn, br *bufio.Reader)) string {
	t.Helper()
	l := listen(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); f(c, bufio.NewReader(c)) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

const grpcType = "application/grpc"

func TestRequestArrivesAsItWas(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %d %v %q", r.Method, r.RequestURI, r.Host, r.Header.Get("X-A"), r.ContentLength, r.Header["User-Agent"], b)
	})
	p := newProxy(t, up)
	for _, tc := range []struct{ method, path, body string }{
		{"GET", "/a%2Fb/c?x=%20&y", ""},
		{"GET", "//double//slash", ""},
		{"DELETE", "/x?", ""},
		{"POST", "/p", "body"},
		{"PURGE", "/odd-method", "b"},
		{"POST", "/empty", ""},
	} {
		var rd io.Reader
		if tc.body != "" {
			rd = strings.NewReader(tc.body)
		}
		_, got := p.do(tc.method, tc.path, rd, "X-A", "1", "User-Agent", "")
		want := fmt.Sprintf("%s %s %s 1 %d [] %q", tc.method, tc.path, p.addr, len(tc.body), tc.body)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestHopByHopFieldsStayBehind(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Connection", "X-Gone")
		h.Set("X-Gone", "1")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("X-Kept", "1")
		for name := range r.Header {
			fmt.Fprintln(w, name)
		}
	})
	p := newProxy(t, up)
	res, body := p.do("GET", "/", nil, "Connection", "X-Secret, Keep", "X-Secret", "1", "Keep", "1", "Proxy-Connection", "x",
		"Keep-Alive", "x", "Te", "gzip", "Upgrade", "h2c", "Http2-Settings", "AAAA", "X-Ok", "1")
	for _, bad := range []string{"X-Secret", "Keep", "Proxy-", "Te\n", "Upgrade", "Http2"} {
		if strings.Contains(body, bad) {
			t.Errorf("upstream saw %q in:\n%s", bad, body)
		}
	}
	if !strings.Contains(body, "X-Ok") || res.Header.Get("X-Gone") != "" || res.Header.Get("Keep-Alive") != "" || res.Header.Get("X-Kept") != "1" {
		t.Errorf("%s %v", body, res.Header)
	}
}

func TestTrailersBothWays(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "body")
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Sudden", r.Trailer.Get("X-Req"))
	})
	for _, version := range []int{1, 2} {
		p := newProxy(t, up)
		if version == 2 {
			p.h2()
		}
		p.change = func(a *Attempt) { a.RequestTrailer = func(n string) bool { return n != "X-Evil" } }
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+p.addr, struct{ io.Reader }{strings.NewReader("b")})
		req.Trailer = http.Header{"X-Req": {"r"}, "X-Evil": {"e"}}
		res, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.Trailer.Get("X-Announced") != "1" || res.Trailer.Get("X-Sudden") != "r" {
			t.Errorf("HTTP/%d: trailers %v", version, res.Trailer)
		}
	}
}

func TestInformationalResponsesPass(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Link", "final")
		fmt.Fprint(w, "done")
	})
	p := newProxy(t, up)
	var early []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		early = append(early, fmt.Sprint(code, h.Get("Link")))
		return nil
	}})
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+p.addr, nil)
	res, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if !slices.Equal(early, []string{"103</style.css>"}) || res.Header.Get("Link") != "final" {
		t.Fatalf("%q, then %v", early, res.Header)
	}
}

// Every byte must come through before the upstream sends the next.
func TestNothingIsHeldBack(t *testing.T) {
	step := make(chan struct{})
	up := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		for range 3 {
			<-step
			fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
	})
	p := newProxy(t, up)
	res, err := p.client.Get("http://" + p.addr)
	if err != nil {
		t.Fatal(err) // the head came before any body
	}
	defer res.Body.Close()
	for range 3 {
		step <- struct{}{}
		if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnswerIsWithheld(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Secret", "1")
		w.WriteHeader(421)
		fmt.Fprint(w, "not yours")
	})
	p := newProxy(t, up)
	p.change = func(a *Attempt) { a.Answer = func(status int, _ http.Header) bool { return status != 421 } }
	res, body := p.do("GET", "/", nil)
	if res.StatusCode != 599 || body != "withheld\n" || res.Header.Get("X-Secret") != "" {
		t.Fatalf("%d %q %v", res.StatusCode, body, res.Header)
	}
	if r := <-p.results; r.Stage != Withheld || r.Status != 421 {
		t.Fatalf("%+v", r)
	}
}

func TestStages(t *testing.T) {
	readRequest := func(br *bufio.Reader) { _, _ = http.ReadRequest(br) }
	warm := func(c net.Conn, br *bufio.Reader) { // answers one request properly
		readRequest(br)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	for _, tc := range []struct {
		name    string
		up      func(c net.Conn, br *bufio.Reader) // nil: nobody listens
		first   bool                               // a good request goes before
		stage   Stage
		methods []string
	}{
		{"nobody listens", nil, false, NotSent, []string{"GET", "POST"}},
		{"closed after it read the request", func(_ net.Conn, br *bufio.Reader) { readRequest(br) }, false, Unknown, []string{"GET", "POST"}},
		{"half a head", func(c net.Conn, br *bufio.Reader) { readRequest(br); fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX: ") }, false, Unknown, []string{"GET"}},
		{"not HTTP", func(c net.Conn, br *bufio.Reader) { readRequest(br); fmt.Fprint(c, "SSH-2.0-x\r\n\r\n") }, false, Unknown, []string{"GET"}},
		{"kept connection, closed after it read the second request", func(c net.Conn, br *bufio.Reader) { warm(c, br); readRequest(br) }, true, Unknown, []string{"GET", "HEAD", "POST", "DELETE"}},
		{"answered", warm, false, Delivered, []string{"GET"}},
	} {
		for _, method := range tc.methods {
			t.Run(tc.name+" "+method, func(t *testing.T) {
				up := "127.0.0.1:1"
				requests := make(chan struct{}, 10)
				if tc.up != nil {
					up = raw(t, func(c net.Conn, br *bufio.Reader) { requests <- struct{}{}; tc.up(c, br) })
				}
				p := newProxy(t, up)
				if tc.first {
					p.do("GET", "/", nil)
					<-p.results
				}
				var body io.Reader
				if method == "POST" {
					body = strings.NewReader("x")
				}
				p.do(method, "/", body)
				if r := <-p.results; r.Stage != tc.stage {
					t.Fatalf("%v (%v), want %v", r.Stage, r.Err, tc.stage)
				}
				if n := len(requests); n > 1 {
					t.Fatalf("the upstream got %d connections: something retried", n)
				}
			})
		}
	}
}

// A kept connection that its peer closed while it was idle is replaced, whatever the method.
func TestIdleConnectionsThatWereClosedCostNothing(t *testing.T) {
	closed := make(chan struct{}, 100)
	up := raw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		c.Close()
		closed <- struct{}{}
	})
	p := newProxy(t, up)
	for i := range 60 {
		method, body := "GET", io.Reader(nil)
		if i%2 == 1 {
			method, body = "POST", strings.NewReader("x")
		}
		res, _ := p.do(method, "/", body)
		if r := <-p.results; res.StatusCode != 200 || r.Stage != Delivered {
			t.Fatalf("request %d: %v", i, r)
		}
		<-closed // so that the next one meets a closed connection
	}
}

// h2Upstream speaks just enough HTTP/2 to do what a test says with each stream.
func h2Upstream(t testing.TB, onHeaders func(fr *http2.Framer, id uint32)) string {
	return raw(t, func(c net.Conn, br *bufio.Reader) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(br, preface); err != nil {
			return
		}
		fr := http2.NewFramer(c, br)
		fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		_ = fr.WriteSettings()
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					_ = fr.WriteSettingsAck()
				}
			case *http2.MetaHeadersFrame:
				onHeaders(fr, f.StreamID)
			}
		}
	})
}

// These hold the texts in exchange.go to what net/http really says.
func TestHTTP2Proofs(t *testing.T) {
	for _, tc := range []struct {
		name  string
		act   func(fr *http2.Framer, id uint32)
		stage Stage
	}{
		{"REFUSED_STREAM", func(fr *http2.Framer, id uint32) { _ = fr.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, NotSent},
		{"GOAWAY below the stream", func(fr *http2.Framer, _ uint32) { _ = fr.WriteGoAway(0, http2.ErrCodeNo, nil) }, NotSent},
		{"INTERNAL_ERROR", func(fr *http2.Framer, id uint32) { _ = fr.WriteRSTStream(id, http2.ErrCodeInternal) }, Unknown},
		{"CANCEL", func(fr *http2.Framer, id uint32) { _ = fr.WriteRSTStream(id, http2.ErrCodeCancel) }, Unknown},
		{"PROTOCOL_ERROR", func(fr *http2.Framer, id uint32) { _ = fr.WriteRSTStream(id, http2.ErrCodeProtocol) }, Unknown},
		{"GOAWAY with an error, above the stream", func(fr *http2.Framer, id uint32) {
			_ = fr.WriteGoAway(id, http2.ErrCodeEnhanceYourCalm, nil)
			_ = fr.WriteRSTStream(id, http2.ErrCodeInternal)
		}, Unknown},
	} {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, body sent %v", tc.name, sent), func(t *testing.T) {
				streams := make(chan uint32, 10)
				up := h2Upstream(t, func(fr *http2.Framer, id uint32) { streams <- id; tc.act(fr, id) })
				p := newProxy(t, up).h2()
				body := io.Reader(nil)
				if sent {
					body = strings.NewReader("some body")
				}
				p.do("POST", "/a.B/C", body, "Content-Type", grpcType)
				if r := <-p.results; r.Stage != tc.stage {
					t.Fatalf("%v (%v), want %v", r.Stage, r.Err, tc.stage)
				}
				if len(streams) != 1 {
					t.Fatalf("%d streams: something retried", len(streams))
				}
			})
		}
	}
}

func TestClientCancelReachesTheUpstream(t *testing.T) {
	arrived, canceled := make(chan struct{}), make(chan struct{})
	up := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(canceled)
	})
	p := newProxy(t, up)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+p.addr, nil)
	if res, err := p.client.Do(req); err == nil {
		res.Body.Close()
		t.Fatal("no error")
	}
	<-canceled
	<-p.results
}

func TestUpstreamThatBreaksOffIsSeen(t *testing.T) {
	up := raw(t, func(c net.Conn, br *bufio.Reader) {
		_, _ = http.ReadRequest(br)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	})
	p := newProxy(t, up)
	res, err := p.client.Get("http://" + p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Fatalf("the client took %q for the whole", b)
	}
	if r := <-p.results; r.Stage != Delivered || !errors.Is(r.Err, ErrUpstream) {
		t.Fatalf("%+v", r)
	}
}

// Full duplex over HTTP/1.1: the answer begins before the request has ended.
func TestHTTP1FullDuplex(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		br := bufio.NewReader(r.Body)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(w, line)
			_ = rc.Flush()
		}
	})
	p := newProxy(t, up)
	pr, pw := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+p.addr, pr)
	go func() { fmt.Fprint(pw, "one\n") }()
	res, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	br := bufio.NewReader(res.Body)
	for i, want := range []string{"one\n", "two\n", "three\n"} {
		if i > 0 {
			fmt.Fprint(pw, want)
		}
		if got, err := br.ReadString('\n'); got != want {
			t.Fatalf("%q %v", got, err)
		}
	}
	pw.Close()
	if _, err := br.ReadByte(); err != io.EOF {
		t.Fatal(err)
	}
}

func TestExpectContinueWaitsForTheUpstream(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }) // never reads
	p := newProxy(t, up)
	p.change = func(a *Attempt) { a.Head = func(h http.Header) { h.Set("Expect", "100-continue") } }
	res, _ := p.do("POST", "/", bytes.NewReader(make([]byte, 4<<20)))
	if r := <-p.results; res.StatusCode != 403 || r.Sent != 0 {
		t.Fatalf("%d, sent %d bytes to an upstream that did not want them", res.StatusCode, r.Sent)
	}
}

func TestResponseTimeout(t *testing.T) {
	end := make(chan struct{})
	up := serve(t, func(http.ResponseWriter, *http.Request) { <-end })
	defer close(end)
	f := New(Options{ResponseTimeout: 50 * time.Millisecond})
	defer f.Close()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	res := f.Do(t.Context(), httptest.NewRecorder(), r, Attempt{Addr: up})
	var ne net.Error
	if res.Stage != Unknown || !errors.As(res.Err, &ne) || !ne.Timeout() {
		t.Fatalf("%+v", res)
	}
}

// An answer that comes before the request has ended must not wait for a client
// that waits for the answer.
func TestEarlyAnswerToAClientThatStopsSending(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP/", version), func(t *testing.T) {
			up := raw(t, func(c net.Conn, br *bufio.Reader) { // Go's own HTTP/1 server would wait for the body first
				if r, err := http.ReadRequest(br); err == nil {
					_, _ = io.ReadFull(r.Body, make([]byte, 3))
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
				}
			})
			if version == 2 {
				up = h2Upstream(t, func(fr *http2.Framer, id uint32) {
					var block bytes.Buffer
					_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
					_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
					_ = fr.WriteRSTStream(id, http2.ErrCodeInternal)
				})
			}
			p := newProxy(t, up)
			if version == 2 {
				p.h2()
			}
			pr, pw := io.Pipe()
			defer pw.Close()
			req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+p.addr, pr)
			req.Header.Set("Content-Type", grpcType)
			go func() { fmt.Fprint(pw, "abc") }()
			if res, err := p.client.Do(req); err == nil {
				_, _ = io.ReadAll(res.Body)
				res.Body.Close()
			}
			select {
			case <-p.results:
			case <-time.After(10 * time.Second):
				t.Fatal("the attempt waits for a client that waits for it")
			}
		})
	}
}
