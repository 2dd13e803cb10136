package agent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/host"
	"github.com/skewgate/skewgate/host/agent"
	"github.com/skewgate/skewgate/internal/testmesh"
	"github.com/skewgate/skewgate/wire"
)

// api is the storage API as a running event sees it.
type api struct {
	t     *testing.T
	addr  string
	event string
}

func (a api) call(method, path, body string) (status int, answer string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, "http://"+a.addr+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if a.event != "" {
		r.Header.Set(wire.HeaderEvent, a.event)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// want holds a call to its status and, for a problem, its code.
func (a api) want(method, path, body string, status int, answer string) {
	a.t.Helper()
	got, text := a.call(method, path, body)
	var p struct{ Code string }
	if got >= 400 && json.Unmarshal([]byte(text), &p) == nil {
		text = p.Code
	}
	if got != status || strings.TrimSpace(text) != answer {
		a.t.Errorf("%s %s: %d %.200s; want %d %s", method, path, got, text, status, answer)
	}
}

// wantAllow wants 405 with what is allowed.
func (a api) wantAllow(method, path, allow string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, "http://"+a.addr+path, http.NoBody)
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set(wire.HeaderEvent, a.event)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != allow {
		a.t.Errorf("%s %s: %d, allowed are %q; want 405 and %q", method, path, res.StatusCode, res.Header.Get("Allow"), allow)
	}
}

// endless is a transaction that does not end.
type endless struct{ begun bool }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	if !e.begun {
		e.begun = true
		copy(p, `{"ops":[`)
	}
	return len(p), nil
}

// wantTooLarge sends a transaction of so many bytes, or of one that does not say how many.
func (a api) wantTooLarge(length int64) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), "POST", "http://"+a.addr+"/v1/storage:txn", &endless{})
	if err != nil {
		a.t.Fatal(err)
	}
	r.ContentLength = length
	r.Header.Set(wire.HeaderEvent, a.event)
	r.Header.Set("Expect", "100-continue")
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	defer client.CloseIdleConnections()
	res, err := client.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(b), "more than 96 MiB; make several") {
		a.t.Errorf("a transaction of %d bytes: %d %s, want 413 that says what to do", length, res.StatusCode, b)
	}
}

// inEvent runs f inside of one event of an upstream.
func inEvent(t *testing.T, f func(a api)) (after api) {
	t.Helper()
	m := testmesh.New(t, testmesh.Embedded(t))
	u := &upstream{storage: addr(t)}
	events := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/go" {
			events <- r.Header.Get(wire.HeaderEvent)
			f(api{t, u.storage, r.Header.Get(wire.HeaderEvent)})
		}
	}))
	t.Cleanup(srv.Close)
	u.addr = strings.TrimPrefix(srv.URL, "http://")
	startAgent(m, "one", u, func(o *agent.Options) { o.Health = "/healthz" })
	m.Must(key("1"), "POST", "/go", "", 200)
	return api{t, u.storage, <-events}
}

func TestStorageAPI(t *testing.T) {
	t.Parallel()
	after := inEvent(t, func(a api) {
		a.want("GET", "/v1/storage/k", "", 404, "key_missing")
		a.want("PUT", "/v1/storage/k", "value", 204, "")
		a.want("GET", "/v1/storage/k", "", 200, "value")
		a.want("PUT", "/v1/storage/a%2Fb%20%C3%A4", "odd", 204, "")
		a.want("GET", "/v1/storage/a/b%20%C3%A4", "", 200, "odd")
		a.want("PUT", "/v1/storage/%FF", "", 204, "")
		a.want("GET", "/v1/storage?prefix=a", "", 200, `{"entries":[{"key":"a/b ä","value":"b2Rk"}]}`)
		a.want("GET", "/v1/storage?start=k&limit=2", "", 200, `{"entries":[{"key":"k","value":"dmFsdWU="},{"keyBase64":"/w==","value":""}]}`)
		a.want("GET", "/v1/storage?reverse=true&start=b&end=l", "", 200, `{"entries":[{"key":"k","value":"dmFsdWU="}]}`)
		a.want("DELETE", "/v1/storage/k", "", 204, "")
		a.want("DELETE", "/v1/storage/k", "", 204, "")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"check","key":"x","value":null},{"op":"put","key":"x","value":"MQ=="},{"op":"get","key":"x"},{"op":"get","key":"y"}]}`,
			200, `{"results":[{"key":"x","value":"MQ=="},{"key":"y","value":null}]}`)
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"put","key":"y","value":"MQ=="},{"op":"check","key":"x","value":"Mg=="}]}`, 412, "check_failed")
		a.want("GET", "/v1/storage/y", "", 404, "key_missing")
	})
	after.want("PUT", "/v1/storage/k", "late", 409, "stale_instance") // the event has ended
}

func TestStorageAPIRefusesNonsense(t *testing.T) {
	t.Parallel()
	inEvent(t, func(a api) {
		a.want("PUT", "/v1/storage/k", strings.Repeat("v", 128<<10), 204, "")
		a.want("PUT", "/v1/storage/k", strings.Repeat("v", 128<<10+1), 413, "limit_exceeded")
		a.want("PUT", "/v1/storage/"+strings.Repeat("k", 2049), "", 413, "limit_exceeded")
		a.want("GET", "/v1/storage/", "", 413, "limit_exceeded")
		a.want("GET", "/v1/storage?limit=0", "", 400, "bad_request")
		a.want("GET", "/v1/storage?limit=1001", "", 400, "bad_request")
		a.want("GET", "/v1/storage?reverse=perhaps", "", 400, "bad_request")
		a.want("GET", "/v1/storage?limt=5", "", 400, "bad_request")
		a.want("GET", "/v1/storage?limit=5&limit=6", "", 400, "bad_request")
		a.want("GET", "/v1/storage?limit=-1", "", 400, "bad_request")
		a.want("GET", "/v1/storage?prefix=%zz", "", 400, "bad_request")
		a.wantAllow("POST", "/v1/storage/k", "GET, PUT, DELETE")
		a.wantAllow("PUT", "/v1/storage", "GET")
		a.wantAllow("GET", "/v1/storage:txn", "POST")
		a.want("GET", "/elsewhere", "", 404, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"swap","key":"k"}]}`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"opts":[]}`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[]}{"ops":[]}`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[]} garbage`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"put","key":"k"}]}`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"put","key":"k","value":null}]}`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"get","key":"k","keyBase64":"aw=="}]}`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"put","key":"","value":""}]}`, 413, "limit_exceeded")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"put","key":"k","value":"`+strings.Repeat("A", 4<<18)+`"}]}`, 413, "limit_exceeded")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"put","key":"k","value":"not base64"}]}`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[{"op":"put","key":"k","value":7}]}`, 400, "bad_request")
		a.want("POST", "/v1/storage:txn", `{"ops":[`+strings.Repeat(`{"op":"delete","key":"k"},{"op":"put","key":"k2","value":""},`, 256)+`{"op":"delete","key":"k3"}]}`, 200, `{"results":[]}`)
		var many []string
		for i := range 513 {
			many = append(many, fmt.Sprintf(`{"op":"delete","key":"k%d"}`, i))
		}
		a.want("POST", "/v1/storage:txn", `{"ops":[`+strings.Join(many, ",")+`]}`, 413, "limit_exceeded")
		a.wantTooLarge(96<<20 + 1)
		a.wantTooLarge(-1)
		a.event = strings.Repeat("0", 32)
		a.want("GET", "/v1/storage/k", "", 409, "stale_instance")
		a.event = strings.Repeat("x", 4000)
		a.want("GET", "/v1/storage/k", "", 409, "stale_instance")
		a.event = ""
		a.want("GET", "/v1/storage/k", "", 400, "bad_request")
	})
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	good := func() agent.Options {
		return agent.Options{Classes: []string{"Cart"}, Upstream: "http://127.0.0.1:9000", Host: host.Options{App: "a", Version: "v", Store: "redis://x"}}
	}
	for what, spoil := range map[string]func(*agent.Options){
		`upstream "127.0.0.1:9000" is not`:      func(o *agent.Options) { o.Upstream = "127.0.0.1:9000" },
		`upstream "https://x" is not`:           func(o *agent.Options) { o.Upstream = "https://x" },
		"has a path":                            func(o *agent.Options) { o.Upstream = "http://x/y" },
		"no class":                              func(o *agent.Options) { o.Classes = nil },
		`health path "healthz"`:                 func(o *agent.Options) { o.Health = "healthz" },
		`storage "0.0.0.0:1" is not a loopback`: func(o *agent.Options) { o.Storage = "0.0.0.0:1" },
		`storage ":9002" is not a loopback`:     func(o *agent.Options) { o.Storage = ":9002" },
		`storage "nothing" is not host:port`:    func(o *agent.Options) { o.Storage = "nothing" },
	} {
		o := good()
		spoil(&o)
		err := agent.Run(t.Context(), o)
		if !errors.Is(err, agent.ErrOptions) || !strings.Contains(fmt.Sprint(err), what) {
			t.Errorf("error %v, want %q", err, what)
		}
	}
	o := good()
	o.Host.App = ""
	if err := agent.Run(t.Context(), o); !errors.Is(err, host.ErrOptions) {
		t.Errorf("without an app: %v", err)
	}
}

// What an upstream says in skewgate's own headers does not leave, and what a client says does not arrive.
func TestHeadersOfOursStayOurs(t *testing.T) {
	t.Parallel()
	m := testmesh.New(t, testmesh.Embedded(t))
	var got bytes.Buffer
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		for _, name := range []string{wire.HeaderAuth, wire.HeaderSession, wire.HeaderRefuse} {
			got.WriteString(r.Header.Get(name))
		}
		w.Header().Set(wire.HeaderRefusal, "reason=released; token=99")
		w.Header().Set("X-Skewgate-Token", "99")
		fmt.Fprint(w, r.Header.Get(wire.HeaderObject), " ", r.Header.Get(wire.HeaderCaller))
	}))
	t.Cleanup(srv.Close)
	startAgent(m, "one", &upstream{addr: strings.TrimPrefix(srv.URL, "http://"), storage: addr(t)})
	k := key("1")
	c := m.Owner(k)
	r := m.Request(t.Context(), k, c, "GET", "/", nil)
	r.Header.Set(wire.HeaderCaller, "web@v1")
	a, refusal, err := m.Send(r)
	if err != nil || a.Status != 200 || a.Body != "Cart/1 web@v1" || refusal != "" || a.Header.Get("X-Skewgate-Token") != "" {
		t.Errorf("%d %q with refusal %q, %v", a.Status, a.Body, refusal, err)
	}
	if got.Len() > 0 {
		t.Errorf("the upstream saw %q, which is between gateway and gate", got.String())
	}
}
