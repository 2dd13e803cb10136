package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/skewgate/skewgate/wire"
)

// origin is a host that writes down what it sees, and answers 200 to what is stamped.
type origin struct {
	mu      sync.Mutex
	seen    []string
	headers []http.Header
}

func (o *origin) gate(_ *fakeHost, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it did not arrive whole, so it is not run
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, fmt.Sprintf("%s %s %q", r.Method, r.RequestURI, body))
	h := r.Header.Clone()
	for name, v := range r.Trailer {
		h[name] = v
	}
	if r.ContentLength >= 0 && len(r.TransferEncoding) > 0 {
		h.Set("Content-Length", "beside chunks")
	}
	o.headers = append(o.headers, h)
	for _, name := range []string{wire.HeaderObject, wire.HeaderSession, wire.HeaderToken, wire.HeaderAuth} {
		if r.Header.Get(name) == "" {
			w.WriteHeader(599)
		}
	}
}

type smuggling struct {
	status []string
	closed bool
	origin []string
	absent []string
	send   []byte
}

func readSmuggling(t *testing.T, file string) smuggling {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, body, ok := strings.Cut(string(text), "\n---\n")
	if !ok {
		t.Fatalf("%s has no ---", file)
	}
	var c smuggling
	for line := range strings.SplitSeq(head, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "#":
		case "status":
			c.status = strings.Fields(rest)
		case "close":
			c.closed = true
		case "origin":
			c.origin = append(c.origin, rest)
		case "absent":
			c.absent = append(c.absent, rest)
		default:
			t.Fatalf("%s: directive %q", file, line)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(body, "\n"), "\n") {
		b, err := strconv.Unquote(`"` + line + `"`)
		if err != nil {
			t.Fatalf("%s: %s: %v", file, line, err)
		}
		c.send = append(c.send, b...)
	}
	return c
}

func TestSmuggling(t *testing.T) {
	files, err := filepath.Glob("../testdata/smuggling/*.txt")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	m := newMesh(t, func(_ *mesh, o *Options) { o.TrustedCallers = nil })
	o := &origin{}
	m.fake("a", "v1", o.gate)
	m.table()
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			c := readSmuggling(t, file)
			o.mu.Lock()
			o.seen, o.headers = nil, nil
			o.mu.Unlock()
			conn, err := net.Dial("tcp", m.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(c.send); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			got, err := io.ReadAll(conn)
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Fatalf("no end; got %q", got)
			}
			c.check(t, o, got)
		})
	}
}

func (c smuggling) check(t *testing.T, o *origin, got []byte) {
	t.Helper()
	status := ""
	for br := bufio.NewReader(bytes.NewReader(got)); ; {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			break
		}
		if res.StatusCode >= 200 {
			status = strconv.Itoa(res.StatusCode)
			break
		}
	}
	if !slices.Contains(c.status, status) && !(c.closed && status == "") {
		t.Errorf("answer %q (%.200q), want one of %v", status, got, c.status)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) != 0 && !slices.Equal(o.seen, c.origin) || len(o.seen) == 0 && len(c.origin) != 0 && status == "200" {
		t.Errorf("the host saw %q, want %q", o.seen, c.origin)
	}
	for _, h := range o.headers {
		for _, name := range c.absent {
			for k := range h {
				if strings.EqualFold(k, name) {
					t.Errorf("the host saw %s: %q", k, h[k])
				}
			}
		}
	}
}

// What HTTP/2 can carry and HTTP/1.1 cannot must end at the gateway.
func TestSmugglingOverHTTP2(t *testing.T) {
	m := newMesh(t, func(_ *mesh, o *Options) { o.TrustedCallers = nil })
	o := &origin{}
	m.fake("a", "v1", o.gate)
	m.table()
	for name, tc := range map[string]struct {
		fields [][2]string // after the pseudo-headers, unless they name one
		body   string
		pass   bool
	}{
		"plain":                       {[][2]string{{"x-a", "b"}}, "", true},
		"CRLF in a value":             {[][2]string{{"x-a", "b\r\nskewgate-event: 7"}}, "", false},
		"LF in a value":               {[][2]string{{"x-a", "b\nskewgate-event: 7"}}, "", false},
		"NUL in a value":              {[][2]string{{"x-a", "b\x00"}}, "", false},
		"colon in a name":             {[][2]string{{"x-a: b\r\nskewgate-event", "7"}}, "", false},
		"upper case":                  {[][2]string{{"X-A", "b"}}, "", false},
		"CRLF in the path":            {[][2]string{{":path", "/carts/1/a HTTP/1.1\r\nX: y\r\n\r\nGET /carts/2/b"}}, "", false},
		"space in the path":           {[][2]string{{":path", "/carts/1/a b"}}, "", true}, // leaves as %20
		"space in the method":         {[][2]string{{":method", "GET /carts/2/b HTTP/1.1\r\n"}}, "", false},
		"transfer-encoding":           {[][2]string{{"transfer-encoding", "chunked"}}, "0\r\n\r\nGET /carts/2/smuggled HTTP/1.1\r\nHost: h\r\n\r\n", false},
		"connection":                  {[][2]string{{"connection", "skewgate-token"}}, "", false},
		"content-length too short":    {[][2]string{{"content-length", "1"}}, "helloGET /carts/2/smuggled HTTP/1.1\r\nHost: h\r\n\r\n", false},
		"content-length twice":        {[][2]string{{"content-length", "5"}, {"content-length", "6"}}, "hello!", false},
		"pseudo-header after a field": {[][2]string{{"x-a", "b"}, {":scheme", "http"}}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			o.mu.Lock()
			o.seen, o.headers = nil, nil
			o.mu.Unlock()
			status := rawHTTP2(t, m.addr, tc.fields, tc.body)
			o.mu.Lock()
			defer o.mu.Unlock()
			if tc.pass != (status == "200") {
				t.Errorf("status %q", status)
			}
			for _, s := range o.seen {
				if !strings.HasPrefix(s, "POST /carts/1/a ") && !strings.HasPrefix(s, "POST /carts/1/a%20b ") {
					t.Errorf("the host saw %s", s)
				}
			}
			for _, h := range o.headers {
				if h.Get("Skewgate-Event") != "" || h.Get("Connection") != "" {
					t.Errorf("the host saw %v", h)
				}
			}
		})
	}
}

// rawHTTP2 sends one request frame by frame; fields that are pseudo-headers
// replace the usual ones. The answer is the status, or "" for a reset.
func rawHTTP2(t *testing.T, addr string, fields [][2]string, body string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(c, http2.ClientPreface)
	fr := http2.NewFramer(c, c)
	_ = fr.WriteSettings()
	pseudo := [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/carts/1/a"}, {":authority", "h"}}
	var rest [][2]string
	for i, f := range fields {
		if j := slices.IndexFunc(pseudo, func(p [2]string) bool { return p[0] == f[0] }); j >= 0 && i == 0 {
			pseudo[j] = f
			continue
		}
		rest = append(rest, f)
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range append(pseudo, rest...) {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""})
	if body != "" {
		_ = fr.WriteData(1, true, []byte(body))
	}
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = fr.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}
